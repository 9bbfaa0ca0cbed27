"""What can be known before a lab starts: whether this machine has the programs, images, room and limits that
this plan needs now.

`uclab doctor` tries the kernel, which takes a while; this looks at what changes from day to day, takes
milliseconds and comes before every start. Looking (`look`) is apart from deciding (`complaints`).
"""

from __future__ import annotations

import resource
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from uclab.doctor.observation import DEVICE_ROOT, PROGRAMS
from uclab.doctor.room import TEMPORARY_MB, Folder, folder, images, inotify_to_be_had
from uclab.kinds.cloud_service import needed_images
from uclab.plan.schema.plan import Plan

CAPTURED_S = 15
"""Seconds of overload that a run captures; most of what is captured is that."""
LEAST_FREE_MB = 60
"""Room for a run's logs, recordings and calls."""
PHONE_MB, LAB_MB = 35, 350
"""Memory of a phone's process; of switches, controllers and the cloud: measured on reference topologies."""
FILES_A_TAP, FILES = 6, 256
"""Open files for each tap of the largest namespace (a packet socket, its ring, pipes), and for all else."""


class HostUnfit(Exception):
    """This machine cannot run the lab now; the message says what is missing, and what would help (exit
    status 2)."""


@dataclass(frozen=True)
class Seen:
    """What this machine has now."""

    missing: tuple[str, ...]
    """Programs that are not found."""
    device_image: bool
    images: frozenset[str] | None
    """Services that have an image; None where podman's list cannot be read."""
    out: Folder
    temporary: Folder
    available_mb: int
    """Memory that programs could have without swapping (`MemAvailable`), and free swap."""
    open_files: int
    """As many as a process may have (RLIMIT_NOFILE, hard)."""
    inotify: bool
    """Whether as many inotify instances could be had as the lab's containers need."""


def refuse_unfit(plan: Plan, out: Path, *, capture: bool = True) -> None:
    """Raises `HostUnfit` with all that is missing, before anything is started."""
    found = complaints(plan, look(plan, out), capture=capture)
    if found:
        raise HostUnfit(
            "this machine cannot run the lab:\n"
            + "\n".join(f"  {problem}" for problem in found)
            + "\n`uclab doctor` shows the rest of what a lab needs"
        )


def refuse_unable_to_judge() -> None:
    """Raises `HostUnfit` where the dissector is missing: nothing of signalling could be shown."""
    if shutil.which("tshark") is None:
        raise HostUnfit(
            "this machine cannot judge a run: tshark is not installed, or not in PATH; run `uclab setup`"
        )


def look(plan: Plan, out: Path) -> Seen:
    """What there is. Leaves nothing behind."""
    return Seen(
        missing=tuple(name for name in PROGRAMS if shutil.which(name) is None),
        device_image=(DEVICE_ROOT / "bin").exists(),
        images=images(),
        out=folder(out),
        temporary=folder(Path(tempfile.gettempdir())),
        available_mb=_available_mb(Path("/proc/meminfo").read_text()),
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        inotify=inotify_to_be_had(_containers(plan)),
    )


def complaints(plan: Plan, seen: Seen, *, capture: bool = True) -> list[str]:
    """Each thing that is missing in a line, with the way out (pure)."""
    found = []
    if seen.missing:
        found.append(f"not installed, or not in PATH: {', '.join(seen.missing)}; run `uclab setup`")
    if not seen.device_image:
        found.append(f"no device image in {DEVICE_ROOT}; run `uclab setup`")
    needed = needed_images(server.service for server in plan.cloud_servers)
    lacking = [name for name in needed if seen.images is not None and name not in seen.images]
    if lacking:
        names = ", ".join(f"localhost/uclab/{name}" for name in lacking)
        found.append(f"no container image {names}; run `uclab setup`")
    found += _room(seen.out, expected_mb(plan) if capture else LEAST_FREE_MB, "the run's evidence", "--out")
    found += _room(seen.temporary, TEMPORARY_MB, "temporary files", "the environment variable TMPDIR")
    memory_mb = LAB_MB + PHONE_MB * len(plan.endpoints)
    if seen.available_mb < memory_mb:
        found.append(
            f"memory: {seen.available_mb} MB are available, {len(plan.endpoints)} endpoints and the network"
            f" need some {memory_mb} MB; end something else, or take fewer endpoints"
        )
    files = needed_files(plan)
    if seen.open_files < files:
        found.append(
            f"open files: {seen.open_files} are allowed, {files} are needed; `ulimit -n {files}` as root"
        )
    if not seen.inotify:
        found.append(
            "inotify: no more instances to be had, containers need some;"
            " `sysctl fs.inotify.max_user_instances=1024`"
        )
    return found


def expected_mb(plan: Plan) -> int:
    """What the captures of a run will take, MB: bulk at every tap on its way, for as long as it lasts."""
    longest = max((len(path.hops) for path in plan.paths), default=0)
    bulk_kb = sum(flow.rate_kbps / 8 for flow in plan.bulk) * CAPTURED_S * longest
    return LEAST_FREE_MB + round(bulk_kb / 1000)


def needed_files(plan: Plan) -> int:
    """Open files of the process that has most: the capture of the largest namespace, or its switch engine."""
    taps: dict[str, int] = {}
    for tap in plan.taps:
        taps[tap.namespace] = taps.get(tap.namespace, 0) + 1
    return FILES + FILES_A_TAP * max(taps.values(), default=0)


def _room(place: Folder, needed_mb: int, what: str, chosen_by: str) -> Sequence[str]:
    if place.complaint:
        return [f"{what}: {place.complaint}; choose another folder by {chosen_by}"]
    if place.free_mb < needed_mb:
        return [
            f"{what}: {place.free_mb} MB are free in {place.path}, some {needed_mb} MB are needed; make room,"
            f" or choose another folder by {chosen_by}"
        ]
    return []


def _available_mb(text: str) -> int:
    """Of /proc/meminfo (proc(5)), whose figures are KiB."""
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    kib = [int(lines.get(name, "0").split()[0]) for name in ("MemAvailable", "SwapFree")]
    return sum(kib) * 1024 // 1_000_000


def _containers(plan: Plan) -> int:
    further = len(plan.name_servers) + len(plan.pstn_peers) + len(plan.cloud_servers)
    return 2 * len(plan.session_controllers) + further
