"""Core: the reasons that conditions, groups and events show, a sentence each. Only words, no
decisions.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a condition has its status: one word for programs, explained here and in the docs for
    people.
    """

    # The run is active.
    WAITING_FOR_RUN = "WaitingForRun"
    """Another active run shares an exchange and comes first."""
    WAITING_FOR_JOBS = "WaitingForJobs"
    """As many Jobs as MAX_JOBS allows are unfinished; the run's next starts when one has ended."""
    WAITING_FOR_LOCK = "WaitingForLock"
    """Another operator holds the fence, so this one changes nothing."""
    DATABASE_UNREACHABLE = "DatabaseUnreachable"
    """Postgres does not answer or refuses the password; the run waits for it."""
    VENDOR_UNREACHABLE = "VendorUnreachable"
    """The vendor does not answer; the Job waits for it."""
    POD_NOT_STARTING = "PodNotStarting"
    """A Job's pod cannot start, such as for a missing Secret or image."""
    STARTING = "Starting"
    """The run's execution is about to be opened."""
    PREFLIGHT = "Preflight"
    """The first Job checks the token and reads the call counter and the symbol lists."""
    PLANNED = "Planned"
    """The plan is stored; the Jobs come next."""
    COLLECTING = "Collecting"
    """Group Jobs are at work."""
    COMPUTING = "Computing"
    """The analyzer's Job is at work."""
    FINISHING = "Finishing"
    """All Jobs have ended; the execution is closed and handed over."""

    # The run cannot go on.
    TOKEN_REFUSED = "TokenRefused"
    """The vendor refused the token (401)."""
    ENDPOINT_NOT_IN_PLAN = "EndpointNotInPlan"
    """The vendor's plan does not include the only way to the data (403)."""
    INVALID_SPEC = "InvalidSpec"
    """The spec asks for something that cannot be; the message names the field and its value."""
    PREFLIGHT_FAILED = "PreflightFailed"
    """The preflight's Job ended without finishing."""
    NOT_VERIFIED = "NotVerified"
    """Stored indicators differ from those computed."""

    # How a group's Job ended where its worker did not say why.
    BAD_SETTING = "BadSetting"
    """The program found a setting or argument missing or wrong."""
    JOB_FAILED = "JobFailed"
    """The Job failed before its work was done."""
    JOB_DELETED = "JobDeleted"
    """Somebody deleted the Job before its work was done."""
    GROUP_NOT_FINISHED = "GroupNotFinished"
    """The Job ended but its worker never reported the end of its work."""

    # Quota.
    NOT_CHECKED = "NotChecked"
    """The preflight has not read the vendor's counter yet."""
    CALLS_LEFT = "CallsLeft"
    """The calls left cover what is due."""
    DAILY_LIMIT_REACHED = "DailyLimitReached"
    """The calls of the GMT day are spent; what is left is deferred."""
    RUN_LIMIT_REACHED = "RunLimitReached"
    """spec.quota.maxCalls is reached; what is left is deferred."""

    # The run has ended.
    COMPLETED = "Completed"
    """Everything due succeeded or was deferred, or failed for few assets."""
    NOTHING_DUE = "NothingDue"
    """Everything was up to date."""
    DRY_RUN = "DryRun"
    """The plan was made and shown, and nothing of it was done."""
    PARTIALLY_FAILED = "PartiallyFailed"
    """More than a tenth of the assets failed, or a group did not finish; the rest succeeded."""
    ALL_FAILED = "AllFailed"
    """Nothing succeeded."""
    RUN_DELETED = "RunDeleted"
    """The run was deleted before it ended."""

    # What follows a run.
    NOT_ENDED = "NotEnded"
    """The run has not come so far."""
    CREATED = "Created"
    """The IndicatorRun exists."""
    NOT_REQUESTED = "NotRequested"
    """The spec asks for no IndicatorRun."""
    RUN_FAILED = "RunFailed"
    """No IndicatorRun follows a failed run."""
    VERIFIED = "Verified"
    """The stored indicators of sampled assets equal those computed."""


FATAL = frozenset({Reason.TOKEN_REFUSED, Reason.ENDPOINT_NOT_IN_PLAN, Reason.INVALID_SPEC})
"""A worker that meets one of these cannot go on, and the run ends failed."""
