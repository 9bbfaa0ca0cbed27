"""What a lab may leave on a machine, wherever it may: looked at before and after.

Commands under test run in a mount namespace of their own in which the folders that programs leave things in
are empty: whatever is there afterwards is theirs, whoever else works on the machine. What cannot be had empty
(cgroups, the machine's mounts, locks, images) is compared, and told apart from others' by who uses it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

EMPTY = ("/run", "/tmp", "/var/tmp", "/dev/shm", "/var/lib/uclab/labs")
"""Folders that begin empty. /var/run is /run."""
MOUNT_POINTS = frozenset({"/run/uclab-lab", "/run/netns", "/run/openvswitch", "/run/mount"})
"""Empty folders over which every lab mounts its own: they stay, and there are never more; and the one that
mount(8) itself makes."""
CGROUPS = Path("/sys/fs/cgroup")
IMAGES = Path("/var/lib/containers")


@dataclass(frozen=True)
class Machine:
    """A view of the machine with empty folders; `enter` before a command runs it there."""

    pid: int
    keep: Path
    """The one folder below the empty ones that is the same inside and outside: the test's own."""

    @property
    def enter(self) -> tuple[str, ...]:
        """The beginning of a command line that runs in the view."""
        return ("nsenter", f"--mount=/proc/{self.pid}/ns/mnt", "--")

    def files(self) -> list[str]:
        """Everything in the folders that were empty, but for what the test itself keeps there."""
        found = []
        for folder in EMPTY:
            root = Path(f"/proc/{self.pid}/root{folder}")
            for path in sorted(root.rglob("*")):
                shown = f"{folder}/{path.relative_to(root)}"
                own = Path(shown).is_relative_to(self.keep) or self.keep.is_relative_to(shown)
                if not own and shown not in MOUNT_POINTS:
                    found.append(shown)
        return found


@contextmanager
def machine_of_its_own(keep: Path) -> Iterator[Machine]:
    """The view, for as long as the block lasts. `keep`: a folder that commands in it share with the test."""
    script = [f"mkdir -p {folder}; mount -t tmpfs none {folder}" for folder in EMPTY]
    # a descriptor opened first, and taken as it is: the path leads to another folder once /tmp is empty
    bind = f"mkdir -p {keep}; mount --no-canonicalize --bind /proc/self/fd/9 {keep}"
    steps = "; ".join([f"exec 9<{keep}", *script, bind, "exec 9<&-", "echo ready", "exec cat"])
    holder = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-ec", steps],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        yield Machine(holder.pid, keep)
        assert holder.stdin is not None
        holder.stdin.close()


@dataclass(frozen=True)
class Shared:
    """What labs share with everybody on the machine."""

    cgroups: frozenset[str]
    mounts: frozenset[str]
    images: frozenset[str]
    shared_memory: frozenset[str]


def look_at_shared() -> Shared:
    """As it is now."""
    images = {str(path) for depth in ("*", "*/*", "*/*/*") for path in IMAGES.glob(depth)}
    return Shared(
        frozenset(str(path) for path in CGROUPS.rglob("*/")),
        frozenset(Path("/proc/1/mountinfo").read_text().splitlines()),
        frozenset(images),
        frozenset(os.listdir("/dev/shm")),
    )


def new_since(before: Shared) -> list[str]:
    """What is there now and was not before, and that no living process uses: of others' labs, which come and
    go meanwhile, processes live."""
    now = look_at_shared()
    cgroups = [path for path in now.cgroups - before.cgroups if not _in_use(Path(path))]
    return sorted(
        [*cgroups, *(now.mounts - before.mounts), *(now.images - before.images)]
        + [f"/dev/shm/{name}" for name in now.shared_memory - before.shared_memory]
    )


def _in_use(cgroup: Path) -> bool:
    try:
        return bool((cgroup / "cgroup.procs").read_text().strip())
    except OSError:
        return False


def locks_of(pids: frozenset[int]) -> list[str]:
    """File locks that the kernel still counts for processes of these ids (proc_locks(5))."""
    lines = Path("/proc/locks").read_text().splitlines()
    return [line for line in lines if (fields := line.split())[1] != "->" and int(fields[4]) in pids]
