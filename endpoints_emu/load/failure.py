"""What is raised when a call fails."""

from __future__ import annotations


class CallFailed(Exception):
    """A call, or something asked of it, failed; `status` 0: nobody answered."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(f"{status} {why}" if status else why)
        self.status = status
