"""The program's settings from the environment, read and judged once.

Never puts a value into an error: one of them is the database's password.
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

from screener_sql.errors import BadSetting

LOG_FORMATS = ("json", "text")
CHUNK = 1_000
MOST_CHUNK = 100_000


@dataclass(frozen=True, slots=True)
class Settings:
    database_url: str = field(repr=False)
    """DATABASE_URL: connection string of the analyzer's own login."""
    execution_id: str
    """EXECUTION_ID: the IndicatorRun's uid."""
    pod: str
    """POD_NAME: what the worker's row calls it; the host's name by default."""
    chunk: int
    """CHUNK: assets that are computed and stored at once, which bounds the memory; 1000."""
    log_format: str
    """LOG_FORMAT: json (one object a line; the default) or text."""


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Raises BadSetting, which names the variable."""

    def needed(name: str, what: str) -> str:
        value = environment.get(name, "").strip()
        if not value:
            raise BadSetting(f"{name} is not set; it must be {what}")
        return value

    chunk = environment.get("CHUNK", "").strip() or str(CHUNK)
    if not chunk.isdecimal() or not 0 < int(chunk) <= MOST_CHUNK:
        raise BadSetting(f"CHUNK must be a number from 1 to {MOST_CHUNK}")
    log_format = environment.get("LOG_FORMAT", "").strip() or "json"
    if log_format not in LOG_FORMATS:
        raise BadSetting(f"LOG_FORMAT must be one of {', '.join(LOG_FORMATS)}")
    return Settings(
        database_url=needed("DATABASE_URL", "the connection string of the analyzer's login"),
        execution_id=needed("EXECUTION_ID", "the uid of the IndicatorRun"),
        pod=environment.get("POD_NAME", "").strip() or socket.gethostname(),
        chunk=int(chunk),
        log_format=log_format,
    )
