"""Starts a lab's supervisor in namespaces of its own and follows it until the lab is up.

`unshare` makes network, mount and PID namespace; `catatonit` is their init and reaps orphans. When the
supervisor ends, by
whatever signal, init ends, and with it the kernel ends every process and frees every interface and mount.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from uclab.access.private_files import PRIVATE_UMASK, claim_folder, owner_only, write_private
from uclab.access.record_files import write_record
from uclab.lab.client import LabClient, LabGone, wait_for_socket
from uclab.lab.directory import LabDirectory
from uclab.plan.schema.codec import plan_to_json
from uclab.plan.schema.plan import Plan
from uclab.records.run import Event
from uclab.records.scenario import BY_HAND, SCENARIO, ScenarioRecord
from uclab.runtime.installation import module_command
from uclab.runtime.logs import last_lines

NAMESPACES = (
    "unshare",
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
    "--propagation",
    "private",
)
INIT = ("catatonit", "--")
END_S = 3.0
"""How long a lab that did not come up may take to end in order."""


class LabFailed(Exception):
    """The lab could not be brought up; what came up has been taken down (exit status 3)."""


@dataclass(frozen=True)
class StartOrder:
    """What to bring up: the clean plan, the plan to apply (the same but in a drill), and where the evidence
    goes."""

    name: str
    plan: Plan
    applied: Plan
    run_dir: Path
    capture: bool = True


@dataclass
class LaunchedLab:
    """A lab that this process started. While `lease` is open the lab lives; closing it (or dying) takes the
    lab down."""

    client: LabClient
    process: subprocess.Popen[bytes]
    lease: int | None = None
    keeper: subprocess.Popen[bytes] | None = None
    """Removes the lab's folder where the lab itself cannot (`uclab.lab.remains`)."""
    seen: int = 0
    """Events that were passed on while the lab came up."""

    def follow(self, on_event: Callable[[Event], None]) -> None:
        """Pass the lab's further events on, in a thread of its own, until the lab ends."""

        def pass_on() -> None:
            with suppress(LabGone):
                for event in self.client.events(self.seen):
                    on_event(event)

        threading.Thread(target=pass_on, name=f"events of {self.client.lab.name}", daemon=True).start()

    def release(self) -> None:
        """Give up the lease and wait for the end of the lab's whole process tree."""
        if self.lease is not None:
            os.close(self.lease)
            self.lease = None
        self.process.wait()
        self.clear_away()

    def leave_to_itself(self) -> None:
        """Nobody reads the lab's folder for this process any more: its keeper may remove it as soon as it is
        dead."""
        if self.keeper is not None and self.keeper.stdin is not None:
            self.keeper.stdin.close()

    def clear_away(self) -> None:
        """Wait until nothing is left of a lab that has ended."""
        self.leave_to_itself()
        if self.keeper is not None:
            self.keeper.wait()


def launch(order: StartOrder, *, leased: bool, on_event: Callable[[Event], None]) -> LaunchedLab:
    """Start the supervisor and follow its events until the lab is up.

    With `leased` the lab ends with this process. Raises `WrongName`, `FolderRefused` where the run's folder
    is used or another's, `LabExists` where the name is taken, and `LabFailed` where it does not come up: then
    nothing is left of it but its run directory.
    """
    missing = [program for program in ("unshare", "catatonit") if shutil.which(program) is None]
    if missing:
        raise LabFailed(
            f"not installed: {', '.join(missing)}; run `uclab setup` "
            "(`uclab doctor` shows what else is needed)"
        )
    if os.geteuid() != 0:
        raise LabFailed("a lab needs root for its namespaces; run it with sudo")
    lab = LabDirectory(order.name)
    outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY) if order.applied.cards else None
    start = {"run_dir": str(order.run_dir), "leased": leased, "capture": order.capture, "outside": outside}
    lock = lab.prepare(start)
    try:
        claim_folder(order.run_dir)
        write_private(order.run_dir, "plan.json", plan_to_json(order.plan))
        write_private(order.run_dir, "plan.applied.json", plan_to_json(order.applied))
        write_record(order.run_dir / SCENARIO, ScenarioRecord(BY_HAND, "reference", time.time()))
    except BaseException:
        lab.remove()  # before the lock is let go of: then the name is anybody's
        os.close(lock)
        raise
    reader, writer = os.pipe() if leased else (None, None)
    try:
        with open(lab.log, "wb", opener=owner_only) as log:
            process = subprocess.Popen(
                [*NAMESPACES, *INIT, *module_command("uclab.lab.supervisor", order.name, str(lock))],
                stdin=reader if reader is not None else subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(lock,) if outside is None else (lock, outside),
                start_new_session=True,
                umask=PRIVATE_UMASK,
            )
    finally:
        os.close(lock)
        for descriptor in (reader, outside):
            if descriptor is not None:
                os.close(descriptor)
    launched = LaunchedLab(LabClient(lab), process, writer, start_keeper(lab))
    try:
        follow_until_up(launched, lab, on_event)
    except BaseException:
        launched.release() if leased else end(launched)
        raise
    launched.leave_to_itself()
    return launched


def start_keeper(lab: LabDirectory) -> subprocess.Popen[bytes]:
    """Who removes the folder of a lab that is killed: it outlives this process, and the lab by a moment."""
    return subprocess.Popen(
        module_command("uclab.lab.remains", lab.name),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def follow_until_up(launched: LaunchedLab, lab: LabDirectory, on_event: Callable[[Event], None]) -> None:
    """Pass events on until the lab says that it is up; raises `LabFailed` with the reason otherwise."""
    if not wait_for_socket(lab.socket, launched.process):
        raise LabFailed(
            f"the supervisor ended before it could be reached; its log says:\n{last_lines(lab.log)}"
        )
    with suppress(LabGone):
        for event in launched.client.events():
            on_event(event)
            launched.seen += 1
            if event.source == "lab" and event.kind == "up":
                return
            if event.source == "lab" and event.kind == "failed":
                raise LabFailed(event.detail)
    raise LabFailed(f"the supervisor ended while the lab came up; its log says:\n{last_lines(lab.log)}")


def end(launched: LaunchedLab) -> None:
    """See to it that a lab without a lease ends: a failed one does by itself, in order; another is killed.

    SIGTERM would not do: `unshare --fork` blocks it (util-linux 2.38).
    """
    try:
        launched.process.wait(timeout=END_S)
    except subprocess.TimeoutExpired:
        launched.process.kill()
        launched.process.wait()
    launched.clear_away()
