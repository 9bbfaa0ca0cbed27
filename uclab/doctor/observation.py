"""Trying out what the machine can do, in namespaces that vanish with the process that holds them."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from uclab.doctor import room
from uclab.doctor.busy import Busyness, busyness
from uclab.runtime.readiness import patient

STATE_DIR = Path(os.environ.get("UCLAB_STATE", "/var/lib/uclab"))
"""Where `uclab setup` puts root filesystems."""

DEVICE_ROOT = STATE_DIR / "images" / "device" / "rootfs"
"""Root filesystem in which the programs of emulated devices run."""

TIMEOUT_S = 10.0
"""Longest that one command of the examination may take; all of them together need a quarter of a second."""

PROGRAMS = (
    *("ovs-vswitchd", "ovsdb-server", "mnexec", "ip", "tc", "nft", "unshare"),
    *("podman", "catatonit", "bwrap", "dumpcap", "tshark"),
)
"""What the lab starts on the host itself."""

KERNEL_TRIALS: Mapping[str, str] = {
    "veth": "ip link add uclab0 type veth peer name uclab1",
    "tap": "ip tuntap add mode tap name uclab2",
    "namespaces": "unshare --net --mount --pid --fork true",
    "openvswitch": "ovs-dpctl -vPATTERN:console:%m add-dp uclab",
    "netem": "tc qdisc add dev uclab0 root netem delay 1ms 1ms loss 1%",
    "htb": "tc qdisc replace dev uclab0 root handle 1: htb default 1"
    " && tc class add dev uclab0 parent 1: classid 1:1 htb rate 1mbit"
    " && tc qdisc add dev uclab0 parent 1:1 pfifo limit 30",
    "dscp_classes": "tc filter add dev uclab0 parent 1: protocol ip u32 match ip dsfield 0xb8 0xfc flowid 1:1"
    " && tc filter add dev uclab0 parent 1: protocol 802.1Q u32 match ip dsfield 0xb8 0xfc flowid 1:1",
    "nftables": "nft 'add table inet uclab; add chain inet uclab f { type filter hook forward priority 0; };"
    " add rule inet uclab f ct state established accept; add rule inet uclab f ip dscp set ef'",
    "nat": "nft 'add table ip uclab; add chain ip uclab p { type nat hook postrouting priority 100; };"
    " add rule ip uclab p masquerade'",
    "nft_queue": "nft 'add rule inet uclab f queue num 0'",
    "iptables_queue": "iptables -w -A FORWARD -j NFQUEUE --queue-num 0",
    "overlayfs": "cd /run && mkdir lower upper work merged"
    " && mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged",
}
"""One shell command each, tried in this order in fresh namespaces; later ones use what earlier ones made."""

MODULES = "openvswitch veth tun sch_netem sch_htb cls_u32 nft_queue nfnetlink_queue overlay"

Runner = Callable[[Sequence[str], str], "subprocess.CompletedProcess[str]"]
"""Runs a command with a text as its standard input; tests pass a recorder."""


@dataclass(frozen=True)
class Observed:
    """What was seen on the machine; nothing is decided yet."""

    root: bool
    kernel: str
    system: str
    cores: int
    memory_mb: int
    trials: Mapping[str, str]
    """For each of `KERNEL_TRIALS` an empty text where it worked, else the first line of its complaint."""
    programs: Mapping[str, bool]
    unified_cgroups: bool
    runtimes: tuple[str, ...]
    device_image: str
    """Empty where a program starts in the device image, else the complaint."""
    container_images: tuple[str, ...]
    room: tuple[str, ...] = ()
    """What is wrong with room for temporary files and with limits, in words."""
    busyness: Busyness | None = None


def run(argv: Sequence[str], text: str) -> subprocess.CompletedProcess[str]:
    """Run a command for its output; one that is absent or hangs is a failure like any other."""
    try:
        return subprocess.run(
            argv, input=text, capture_output=True, text=True, timeout=patient(TIMEOUT_S), check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(list(argv), 127, "", f"{argv[0]}: {error}")


def observe(run: Runner = run) -> Observed:
    """Look at the machine and try what cannot be seen."""
    busy = busyness()  # before the trials make it so
    with ThreadPoolExecutor() as pool:
        trials = pool.submit(try_kernel, run)
        device = pool.submit(try_device_image, run)
        images = pool.submit(run, ["podman", "images", "--format", "{{.Repository}}:{{.Tag}}"], "")
    return Observed(
        root=os.geteuid() == 0,
        kernel=platform.release(),
        system=platform.freedesktop_os_release().get("PRETTY_NAME", "unknown"),
        cores=len(os.sched_getaffinity(0)),
        memory_mb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_000_000,
        trials=trials.result(),
        programs={program: shutil.which(program) is not None for program in PROGRAMS},
        unified_cgroups=Path("/sys/fs/cgroup/cgroup.controllers").exists(),
        runtimes=tuple(name for name in ("crun", "runc") if shutil.which(name)),
        device_image=device.result(),
        container_images=tuple(sorted(line for line in images.result().stdout.split() if "/uclab/" in line)),
        room=room.complaints(),
        busyness=busy,
    )


def try_kernel(run: Runner) -> dict[str, str]:
    """The complaint of each kernel trial, empty where it worked, all in one throw-away set of namespaces."""
    script = f"modprobe -qa {MODULES} 2>/dev/null\nmount -t tmpfs tmpfs /run\n" + "".join(
        f"if seen=$({{ {command}; }} 2>&1 </dev/null); then echo '{name}:'\n"
        f'else echo "{name}:${{seen:-refused}}" | head -n 1; fi\n'
        for name, command in KERNEL_TRIALS.items()
    )
    done = run(["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "sh", "-s"], script)
    nothing = done.stderr.strip().splitlines()[-1:] or ["not tried"]
    seen = dict(line.split(":", 1) for line in done.stdout.splitlines() if ":" in line)
    return {name: seen.get(name, nothing[0]).strip() for name in KERNEL_TRIALS}


def try_device_image(run: Runner) -> str:
    """The complaint when a program is started in the device image, empty where it works."""
    if not DEVICE_ROOT.is_dir():
        return f"{DEVICE_ROOT} is not there; run `uclab setup`"
    argv = ["bwrap", "--unshare-net", "--die-with-parent", "--ro-bind", str(DEVICE_ROOT), "/", "/bin/true"]
    done = run(argv, "")
    return "" if done.returncode == 0 else (done.stderr.strip() or f"/bin/true ended with {done.returncode}")
