"""The operator's settings, read from the environment and checked once."""

from collections.abc import Mapping
from dataclasses import dataclass

from screener_operator.jobs import JobSettings
from screener_sql.errors import BadSetting

DEFAULT_NAMESPACE = "financial-screener"


@dataclass(frozen=True, slots=True)
class Settings:
    """All of them; the vendor's token is none of the operator's business."""

    database_url: str
    """Connection string of the role screener_operator; in no log."""
    jobs: JobSettings
    """What is handed on to Jobs."""
    namespace: str = DEFAULT_NAMESPACE
    """The only one that is watched."""
    max_jobs: int = 8
    """Bounds the group Jobs of all runs together; a node with 4 GB runs two or three."""
    health_port: int = 8080
    """Where /healthz answers; 0 for a free port."""
    resync_seconds: float = 30.0
    """Between two looks at everything, in seconds: bounds how late an event that got lost is made
    good.
    """
    log_format: str = "json"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Raises BadSetting, with the variable's name, for what is missing or wrong."""
        log_format = environment.get("LOG_FORMAT") or "json"
        if log_format not in ("json", "text"):
            raise BadSetting(f"LOG_FORMAT must be json or text, not {log_format!r}")
        return cls(
            database_url=_required(environment, "DATABASE_URL"),
            namespace=environment.get("NAMESPACE") or DEFAULT_NAMESPACE,
            max_jobs=_number(environment, "MAX_JOBS", 8, least=1),
            health_port=_number(environment, "HEALTH_PORT", 8080, least=0, most=65535),
            resync_seconds=_number(environment, "RESYNC_SECONDS", 30, least=1),
            log_format=log_format,
            jobs=JobSettings(
                collector_image=_required(environment, "COLLECTOR_IMAGE"),
                analyzer_image=_required(environment, "ANALYZER_IMAGE"),
                eodhd_base_url=_required(environment, "EODHD_BASE_URL"),
                eodhd_daily_limit=_number(environment, "EODHD_DAILY_LIMIT", 100_000, least=0),
                postgres_secret=environment.get("POSTGRES_SECRET") or "postgres-secret",
                api_secret=environment.get("API_SECRET") or "data-api-secrets",
                log_format=log_format,
            ),
        )


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if not value:
        raise BadSetting(f"{name} is not set")
    return value


def _number(
    environment: Mapping[str, str],
    name: str,
    default: int,
    *,
    least: int,
    most: int = 2_147_483_647,
) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal() or not least <= int(text) <= most:
        raise BadSetting(f"{name} must be a whole number from {least} to {most}, not {text!r}")
    return int(text)
