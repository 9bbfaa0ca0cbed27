"""What baresip has logged since some moment: it tells nobody else why it refused a certificate."""

from __future__ import annotations

from pathlib import Path


class NewWords:
    """The end of a log, from the last mark on."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._seen = 0

    def mark(self) -> None:
        """Forget what has been logged so far, e.g. because an attempt to connect begins."""
        self._seen = self._log.stat().st_size if self._log.exists() else 0

    def read(self) -> str:
        """What was logged since the mark."""
        return self._log.read_bytes()[self._seen :].decode(errors="replace") if self._log.exists() else ""
