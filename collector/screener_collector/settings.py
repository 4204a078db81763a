"""Core: the settings, from the environment once. Messages name the variable, never a secret."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from screener_sql.errors import BadSetting

DAILY_LIMIT = 100_000
"""Calls a GMT day: the limit of every paid plan of the vendor."""
_PASSWORD = re.compile(r"\bpassword\s*=\s*('[^']*'|\S+)")
_TOKEN = re.compile(r"[A-Za-z0-9._-]{1,200}")


@dataclass(frozen=True, slots=True)
class Settings:
    """All that the collector is told from outside."""

    database_url: str = field(repr=False)
    """Connection string of the collector's login."""
    token: str = field(repr=False)
    """The vendor's API token."""
    base_url: str
    """The vendor's address, such as `https://eodhd.com/api`; without a slash at the end."""
    daily_limit: int
    """Calls a GMT day that are used at most, whatever the vendor allows."""
    execution_id: str
    """Which run."""
    slice: str
    """Which of its slices: a group's name, or `preflight`."""
    pod: str
    """Who this is, for people who look at `workers`."""
    log_format: str
    """`json` or `text`."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be written anywhere."""
        if "://" in self.database_url:
            password = urlsplit(self.database_url).password
        else:
            found = _PASSWORD.search(self.database_url)
            password = found[1].strip("'") if found else None
        return tuple(secret for secret in (self.token, self.database_url, password) if secret)


def read_settings(environment: Mapping[str, str], command: str, host: str) -> Settings:
    """Settings for `preflight` or `group`; `host` is the pod's name where none is given.

    Raises BadSetting, whose message names the variable and says what it should be.
    """

    def wanted(name: str, what: str) -> str:
        value = environment.get(name, "").strip()
        if not value:
            raise BadSetting(f"{name} is not set: {what}")
        return value

    database_url = wanted("DATABASE_URL", "a Postgres connection string")
    token = wanted("EODHD_API_TOKEN", "the vendor's API token")
    # It is sent as a header, and the demo token is a plain word.
    if not _TOKEN.fullmatch(token):
        raise BadSetting("EODHD_API_TOKEN holds a character that no token of the vendor has")
    return Settings(
        database_url=database_url,
        token=token,
        base_url=_address(wanted("EODHD_BASE_URL", "the vendor's address, https://eodhd.com/api")),
        daily_limit=_daily_limit(environment.get("EODHD_DAILY_LIMIT", "").strip()),
        execution_id=wanted("EXECUTION_ID", "the run's execution id"),
        slice="preflight" if command == "preflight" else wanted("SLICE", "the group's name"),
        pod=environment.get("POD_NAME", "").strip() or host,
        log_format=read_log_format(environment),
    )


def read_log_format(environment: Mapping[str, str]) -> str:
    """`json` (also without a setting) or `text`. Raises BadSetting."""
    value = environment.get("LOG_FORMAT", "").strip() or "json"
    if value not in ("json", "text"):
        raise BadSetting("LOG_FORMAT is neither json nor text")
    return value


def _address(value: str) -> str:
    try:
        parts = urlsplit(value)
        valid = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and (parts.port is None or parts.port > 0)
            and not (parts.query or parts.fragment or parts.username or parts.password)
        )
    except ValueError:
        valid = False
    if not valid:
        raise BadSetting("EODHD_BASE_URL is not an address such as https://eodhd.com/api")
    return value.rstrip("/")


def _daily_limit(value: str) -> int:
    if not value:
        return DAILY_LIMIT
    if not value.isascii() or not value.isdecimal() or not 1 <= len(value) <= 9:
        raise BadSetting("EODHD_DAILY_LIMIT is not a count of calls, 0 to 999999999")
    return int(value)
