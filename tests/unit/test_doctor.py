"""The examination of the host: what is decided from what was seen, and that looking leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, replace

import pytest
from rich.console import Console

from uclab import doctor
from uclab.doctor.observation import KERNEL_TRIALS, PROGRAMS, Observed, observe, run, try_kernel
from uclab.doctor.report import HostReport, Need

FULL = Observed(
    root=True,
    kernel="6.12.0-amd64",
    system="Debian GNU/Linux 13 (trixie)",
    cores=4,
    memory_mb=8000,
    trials=dict.fromkeys(KERNEL_TRIALS, ""),
    programs=dict.fromkeys(PROGRAMS, True),
    unified_cgroups=True,
    runtimes=("crun", "runc"),
    device_image="",
    container_images=(
        "localhost/uclab/base:trixie",
        "localhost/uclab/dns:latest",
        "localhost/uclab/dns:0123",
        "localhost/uclab/kamailio:latest",
        "localhost/uclab/pstn:latest",
        "localhost/uclab/rtpengine:latest",
    ),
)
"""A machine that has everything."""


def without(*trials: str) -> Observed:
    """The full machine with a kernel that refuses these trials."""
    return replace(FULL, trials={**FULL.trials, **dict.fromkeys(trials, "refused")})


def row(report: HostReport, need: str) -> Need:
    """The row of the table for this need."""
    return next(entry for entry in report.needs if entry.need == need)


def test_full_kernel_gets_the_kernels_own_variants() -> None:
    report = doctor.decide(FULL)

    assert report.able
    assert (report.datapath, report.impairment, report.packet_queue) == ("system", "netem", "nft")
    assert report.container_runtime == "crun"
    assert {need.state for need in report.needs} == {"native"}


def test_poor_kernel_gets_substitutes_that_name_what_was_refused() -> None:
    report = doctor.decide(without("openvswitch", "netem", "nft_queue"))

    assert report.able
    assert (report.datapath, report.impairment, report.packet_queue) == ("netdev", "userspace", "iptables")
    assert row(report, "switch datapath").state == "substitute"
    assert row(report, "delay, jitter, loss") == Need(
        "delay, jitter, loss",
        "the lab's own impairment process on NFQUEUE (iptables)",
        "substitute",
        "refused",
    )


@pytest.mark.parametrize(
    ("trials", "need"),
    [
        (["htb"], "rate, priority queues"),
        (["dscp_classes"], "rate, priority queues"),
        (["nftables"], "firewall, NAT"),
        (["nat"], "firewall, NAT"),
        (["veth"], "links"),
        (["namespaces"], "isolation"),
        (["overlayfs"], "container file systems"),
        (["openvswitch", "tap"], "switch datapath"),
        (["netem", "nft_queue", "iptables_queue"], "delay, jitter, loss"),
    ],
)
def test_what_has_no_substitute_makes_the_machine_unable(trials: list[str], need: str) -> None:
    report = doctor.decide(without(*trials))

    assert not report.able
    assert row(report, need).state == "missing"
    assert "refused" in row(report, need).detail


@pytest.mark.parametrize(
    ("seen", "need", "detail"),
    [
        (replace(FULL, root=False), "rights", "run it with sudo"),
        (replace(FULL, memory_mb=900), "memory", "2000 MB are needed"),
        (replace(FULL, device_image="no such folder"), "device image", "no such folder"),
        (replace(FULL, container_images=()), "container images", "none is built; run `uclab setup`"),
        (replace(FULL, container_images=FULL.container_images[:1]), "container images", "none is built"),
        (replace(FULL, programs={**FULL.programs, "bwrap": False}), "programs", "not found: bwrap"),
        (replace(FULL, runtimes=()), "containers", "unified cgroups"),
    ],
)
def test_what_set_up_would_bring_is_named(seen: Observed, need: str, detail: str) -> None:
    report = doctor.decide(seen)

    assert not report.able
    assert row(report, need).state == "missing"
    assert detail in row(report, need).detail


@pytest.mark.parametrize(
    ("unified", "runtimes", "chosen"),
    [
        (True, ("crun", "runc"), "crun"),
        (True, ("runc",), "runc"),
        (False, ("crun", "runc"), "runc"),
        (False, ("crun",), "none"),
    ],
)
def test_crun_is_not_chosen_on_hybrid_cgroups(unified: bool, runtimes: tuple[str, ...], chosen: str) -> None:
    report = doctor.decide(replace(FULL, unified_cgroups=unified, runtimes=runtimes))

    assert report.container_runtime == chosen


def test_report_is_json_and_a_table_that_names_each_need() -> None:
    report = doctor.decide(without("netem"))
    console = Console(width=120, record=True, file=open(os.devnull, "w"))  # noqa: SIM115

    console.print(doctor.as_table(report))
    text = console.export_text()

    assert json.loads(json.dumps(asdict(report)))["impairment"] == "userspace"
    assert all(need.need in text for need in report.needs)


def answering(stdout: str, stderr: str = "") -> doctor.Runner:
    """A runner that starts nothing and answers every command like this."""

    def answer(argv: Sequence[str], text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(list(argv), 0, stdout, stderr)

    return answer


def test_trial_counts_as_working_only_when_it_said_so() -> None:
    seen = try_kernel(answering("veth:\nnetem:Error: Specified qdisc kind is unknown.\n"))

    assert seen["veth"] == ""
    assert seen["netem"] == "Error: Specified qdisc kind is unknown."
    assert seen["htb"] == "not tried"


def test_trials_that_cannot_start_carry_the_reason() -> None:
    seen = try_kernel(answering("", "unshare: unshare failed: Operation not permitted\n"))

    assert set(seen.values()) == {"unshare: unshare failed: Operation not permitted"}


def test_absent_program_is_a_failure_and_not_an_error() -> None:
    done = run(["/nonexistent/program"], "")

    assert done.returncode == 127
    assert "/nonexistent/program" in done.stderr


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")
def test_looking_is_quick_and_leaves_the_hosts_network_as_it_was() -> None:
    def network() -> str:
        shown = [["ip", "-br", "link"], ["ip", "netns"], ["nft", "list", "ruleset"], ["iptables-save"]]
        return "".join(
            line
            for argv in shown
            for line in subprocess.run(argv, capture_output=True, text=True, check=False).stdout.splitlines()
            if not line.startswith("#")
        )

    before = network()
    began = time.monotonic()
    seen = observe()
    took_s = time.monotonic() - began

    assert seen.trials["veth"] == ""
    assert seen.trials["htb"] == ""
    assert took_s < 5  # a quarter of a second on an idle machine
    assert network() == before
