"""Choosing the variants that fit what was observed. Pure."""

from __future__ import annotations

from typing import Literal

from uclab.doctor.observation import DEVICE_ROOT, Observed
from uclab.doctor.report import HostReport, Need, State
from uclab.kinds.cloud_service import needed_images

LEAST_MEMORY_MB = 2000
"""Below this the reference topology does not fit: 12 phones at 30 MB, 7 containers, a pyshark."""


def decide(seen: Observed) -> HostReport:
    """Choose the variants that fit what was seen."""
    works = {name: not complaint for name, complaint in seen.trials.items()}
    packet_queue: Literal["nft", "iptables", "none"] = "none"
    if works["nft_queue"] or works["iptables_queue"]:
        packet_queue = "nft" if works["nft_queue"] else "iptables"
    container_runtime: Literal["crun", "runc", "none"] = "runc" if "runc" in seen.runtimes else "none"
    if "crun" in seen.runtimes and seen.unified_cgroups:
        container_runtime = "crun"
    needs = (
        *machine_needs(seen),
        *kernel_needs(seen),
        impairment_need(seen, packet_queue),
        *program_needs(seen, container_runtime),
    )
    return HostReport(
        able=all(need.state != "missing" for need in needs),
        datapath="system" if works["openvswitch"] else "netdev",
        impairment="netem" if works["netem"] else "userspace",
        packet_queue=packet_queue,
        container_runtime=container_runtime,
        kernel=seen.kernel,
        system=seen.system,
        cores=seen.cores,
        memory_mb=seen.memory_mb,
        needs=needs,
    )


def machine_needs(seen: Observed) -> list[Need]:
    """Rights and size."""
    size = f"{seen.cores} cores, {seen.memory_mb} MB"
    enough = seen.memory_mb >= LEAST_MEMORY_MB
    busy = seen.busyness.warning() if seen.busyness is not None else None
    load = f"load {seen.busyness.load:.1f} on {seen.cores} cores" if seen.busyness is not None else "not seen"
    return [
        Need("rights", "root", "native" if seen.root else "missing", "" if seen.root else "run it with sudo"),
        Need(
            "room, limits",
            "temporary files, inotify",
            "missing" if seen.room else "native",
            "; ".join(seen.room),
        ),
        Need(
            "memory",
            size,
            "native" if enough else "missing",
            "" if enough else f"{LEAST_MEMORY_MB} MB are needed",
        ),
        Need("processor", load, "native", f"warning: {busy}" if busy else ""),
    ]


def kernel_needs(seen: Observed) -> list[Need]:
    """What the kernel gives; a substitute names what was refused."""

    def all_of(need: str, variant: str, *trials: str) -> Need:
        complaints = [f"{name}: {seen.trials[name]}" for name in trials if seen.trials[name]]
        return Need(need, variant, "missing" if complaints else "native", "; ".join(complaints))

    datapath = Need("switch datapath", "openvswitch kernel module", "native")
    if refused := seen.trials["openvswitch"]:
        tap = all_of("switch datapath", "Open vSwitch userspace datapath, checksum offload off", "tap")
        state: State = "missing" if tap.state == "missing" else "substitute"
        datapath = Need(tap.need, tap.variant, state, "; ".join(filter(None, (refused, tap.detail))))
    return [
        all_of("isolation", "network, mount and PID namespaces", "namespaces"),
        all_of("links", "veth", "veth"),
        datapath,
        Need("VLANs", "access and trunk ports of Open vSwitch", datapath.state),
        all_of("rate, priority queues", "tc HTB with DSCP classes", "htb", "dscp_classes"),
        all_of("firewall, NAT", "nftables with connection tracking", "nftables", "nat"),
        all_of("container file systems", "overlayfs", "overlayfs"),
    ]


def impairment_need(seen: Observed, packet_queue: str) -> Need:
    """Delay, jitter and loss: by the kernel, or by a process that packets are handed to."""
    refused = seen.trials["netem"]
    if not refused:
        return Need("delay, jitter, loss", "tc netem", "native")
    variant = "the lab's own impairment process on NFQUEUE"
    if packet_queue == "none":
        detail = (
            f"{refused}; nft queue: {seen.trials['nft_queue']}; iptables: {seen.trials['iptables_queue']}"
        )
        return Need("delay, jitter, loss", variant, "missing", detail)
    return Need("delay, jitter, loss", f"{variant} ({packet_queue})", "substitute", refused)


def program_needs(seen: Observed, container_runtime: str) -> list[Need]:
    """Programs and images that `uclab setup` brings."""
    absent = ", ".join(program for program, found in seen.programs.items() if not found)
    services = sorted({name.split("/")[-1].split(":")[0] for name in seen.container_images} - {"base"})
    lacking = ", ".join(name for name in needed_images() if name not in services)
    no_podman = container_runtime == "none" or not seen.programs["podman"]
    cgroups = f"{'unified' if seen.unified_cgroups else 'hybrid or version 1'} cgroups"
    not_built = "none is built; run `uclab setup`"
    return [
        Need("programs", "of the host", "missing" if absent else "native", absent and f"not found: {absent}"),
        Need("containers", f"podman with {container_runtime}", "missing" if no_podman else "native", cgroups),
        Need(
            "device image", str(DEVICE_ROOT), "missing" if seen.device_image else "native", seen.device_image
        ),
        Need(
            "container images",
            ", ".join(services),
            "missing" if lacking else "native",
            lacking and f"not built: {lacking}; run `uclab setup`",
        )
        if services
        else Need("container images", "localhost/uclab/*", "missing", not_built),
    ]
