"""The errors of all programs. Whether a retry can help is in the type.

* ScreenerError
  x Retryable
    - DatabaseUnreachable
  x Permanent
    - BadSetting
    - InvalidSpec
    - NewerDatabase

No message of any of them holds a secret: adapters translate driver errors here and leave connection
strings out.
"""


class ScreenerError(Exception):
    """Something went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class Retryable(ScreenerError):
    """It failed now and may succeed later."""


class Permanent(ScreenerError):
    """It fails again however often it is tried."""


class DatabaseUnreachable(Retryable):
    """Postgres does not answer, or refuses the password."""


class BadSetting(Permanent):
    """A setting is missing or wrong."""


class InvalidSpec(Permanent):
    """The run's spec asks for something that cannot be."""


class NewerDatabase(Permanent):
    """The database has migrations that this version does not know."""
