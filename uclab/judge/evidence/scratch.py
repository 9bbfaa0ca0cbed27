"""Room for what is cut out of captures while they are judged."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from uclab.capture.scratch import unnamed_file
from uclab.judge.evidence.run_files import RunError, reason

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR)


@contextmanager
def scratch_file() -> Iterator[Path]:
    """A file without a name (`unnamed_file`), gone after the block and with this process. `RunError` where
    the machine has no room for it."""
    try:
        with unnamed_file() as file:
            yield file
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        where = error.filename or tempfile.tempdir or "the temporary folder"
        raise RunError(
            f"{where}: {reason(error)}: the judge needs room for what it cuts out of captures; make some, or"
            " name another folder in TMPDIR"
        ) from error
