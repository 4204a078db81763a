"""Shared words of the tables: lock classes, exit codes, states, reasons, error codes. No I/O."""

from enum import IntEnum, StrEnum

# Postgres advisory locks are (class, key); the key is 0 where a database has one lock of the class.
WORKER_LOCK = 730001
"""(WORKER_LOCK, workers.id) is held by a session of that worker while it lives."""
FENCE_LOCK = 730002
"""(FENCE_LOCK, 0) is held by the one operator that may act."""
PLANNER_LOCK = 730003
"""(PLANNER_LOCK, 0) is held by a transaction that plans a run."""
MIGRATE_LOCK = 730004
"""(MIGRATE_LOCK, 0) is held by a migration in progress."""


class ExitCode(IntEnum):
    """How a program says why it ended; the Job's podFailurePolicy and the operator read it."""

    DONE = 0
    """Everything of the slice ended, deferred and failed items included."""
    UNEXPECTED = 1
    """A fault of the program; the Job starts it again."""
    BAD_SETTING = 2
    """A setting or argument is missing or wrong; starting it again cannot help."""
    TOKEN_REFUSED = 10
    """The vendor refused the token (401)."""
    ENDPOINT_NOT_IN_PLAN = 11
    """The vendor's plan does not include the only way to the data (403)."""
    INVALID_SPEC = 12
    """The run asks for something that the vendor, or `ta`, does not have, such as an unknown
    exchange."""
    NOT_VERIFIED = 13
    """Stored indicators differ from those computed."""
    DATABASE_UNREACHABLE = 21
    """Postgres stayed unreachable; the Job starts it again."""
    TERMINATED = 143
    """SIGTERM: what was leased and claimed was given back."""


NEVER_RETRIED = (
    ExitCode.BAD_SETTING,
    ExitCode.TOKEN_REFUSED,
    ExitCode.ENDPOINT_NOT_IN_PLAN,
    ExitCode.INVALID_SPEC,
    ExitCode.NOT_VERIFIED,
)
"""Exit codes after which a Job fails at once."""


class Operation(StrEnum):
    """What an item does for its asset."""

    PRICES_BULK = "prices_bulk"
    """The first history of an asset."""
    PRICES_INCREMENTAL = "prices_incremental"
    """The bars since the last one, or the whole history again after an action."""
    SPLITS = "splits"
    """The list of an asset's splits."""
    DIVIDENDS = "dividends"
    """The list of an asset's dividends."""
    FUNDAMENTALS_BULK = "fundamentals_bulk"
    """The fundamentals of an asset."""
    INDICATORS_CALC = "indicators_calc"
    """The indicators of an asset."""


class SliceKind(StrEnum):
    """What a Job of a run is for."""

    PREFLIGHT = "preflight"
    GROUP = "group"
    INDICATORS = "indicators"


class SliceReason(StrEnum):
    """Why a slice's worker could not do all of it; the run's conditions show the same."""

    TOKEN_REFUSED = "TokenRefused"
    ENDPOINT_NOT_IN_PLAN = "EndpointNotInPlan"
    INVALID_SPEC = "InvalidSpec"
    DAILY_LIMIT_REACHED = "DailyLimitReached"
    RUN_LIMIT_REACHED = "RunLimitReached"
    VENDOR_UNREACHABLE = "VendorUnreachable"


class ErrorCode(StrEnum):
    """Why an item did not succeed, as in `plan_items` and `asset_processing_details`."""

    # failed, and counted against the asset
    NOT_FOUND = "not_found"
    EMPTY_HISTORY = "empty_history"
    BAD_DATA = "bad_data"
    BAD_PAYLOAD = "bad_payload"
    NOT_IN_PLAN = "not_in_plan"
    NO_BARS = "no_bars"
    COMPUTE_ERROR = "compute_error"
    VERIFY_MISMATCH = "verify_mismatch"
    # failed, but not the asset's fault
    SERVER_ERROR = "server_error"
    NETWORK_ERROR = "network_error"
    GROUP_NOT_FINISHED = "group_not_finished"
    # deferred
    DAILY_LIMIT = "daily_limit"
    RUN_LIMIT = "run_limit"
    NOT_PUBLISHED = "not_published"
    # skipped
    UP_TO_DATE = "up_to_date"
    BACKING_OFF = "backing_off"
    NO_TRADE = "no_trade"
    DRY_RUN = "dry_run"
    AWAITING_REFETCH = "awaiting_refetch"


TRANSIENT = frozenset(
    {
        ErrorCode.SERVER_ERROR,
        ErrorCode.NETWORK_ERROR,
        ErrorCode.GROUP_NOT_FINISHED,
    }
)
"""Failures that say nothing about the asset and do not count among its failures."""
