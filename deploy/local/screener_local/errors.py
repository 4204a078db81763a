"""What can go wrong with the local system, said so that a person knows what to do next.

* LocalError
  - PartFailed
"""


class LocalError(Exception):
    """The local system cannot do what was asked; the message is for the user."""


class PartFailed(LocalError):
    """A part of the local system did not start, or died.

    `part` names it, `log_tail` holds its last log lines (oldest first, may be empty), `hint` what
    to try.
    """

    def __init__(self, part: str, what: str, *, log_tail: str = "", hint: str = "") -> None:
        super().__init__(f"{part}: {what}")
        self.part = part
        self.what = what
        self.log_tail = log_tail
        self.hint = hint

    def report(self) -> str:
        """The whole story in several lines."""
        lines = [f"{self.part} failed: {self.what}"]
        if self.log_tail:
            lines += ["  its last log lines:"]
            lines += [f"    {line}" for line in self.log_tail.splitlines()]
        if self.hint:
            lines += [f"  what to try: {self.hint}"]
        return "\n".join(lines)
