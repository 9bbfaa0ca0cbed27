"""Removes a lab's folder when the lab has died: `python -m uclab.lab.remains NAME`, started by
`uclab.lab.launch`.

A supervisor that is killed cannot tidy up after itself, and the command that brought its lab up has long
ended. So this one waits outside the lab's namespaces: first until its standard input ends, which says that
nobody needs the folder's log any more, then for the lab's lock, which the kernel gives when the supervisor is
gone.
"""

from __future__ import annotations

import sys

from uclab.lab.directory import LabDirectory


def main() -> None:
    """Wait for the lab's end; remove what is left, if anything is, and if it is not another lab's by then."""
    lab = LabDirectory(sys.argv[1])
    sys.stdin.buffer.read()
    lab.wait_for_end()
    lab.remove_if_dead()


if __name__ == "__main__":
    main()
