"""The outcome of an examination, for the lab and for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rich.table import Table

State = Literal["native", "substitute", "missing"]
"""`native`: as it should be. `substitute`: something else does it. `missing`: no lab without it."""


@dataclass(frozen=True)
class Need:
    """One row of the table: a need, and what serves it here."""

    need: str
    variant: str
    """What serves it, or would."""
    state: State
    detail: str = ""
    """What was seen, and the way out where something is missing."""


@dataclass(frozen=True)
class HostReport:
    """The machine and the variants that fit it. The lab chooses by the first fields; people read `needs`."""

    able: bool
    """No need is `missing`: a lab can run."""
    datapath: Literal["system", "netdev"]
    """Open vSwitch `datapath_type`: the kernel's, or the userspace one."""
    impairment: Literal["netem", "userspace"]
    """What delays, scatters and loses packets."""
    packet_queue: Literal["nft", "iptables", "none"]
    """The tool whose rule can hand packets to a process (NFQUEUE); the userspace impairment lives on it."""
    container_runtime: Literal["crun", "runc", "none"]
    """What podman has to be given: crun refuses hybrid cgroups (seen with 1.8.1), runc does not."""
    kernel: str
    system: str
    cores: int
    memory_mb: int
    needs: tuple[Need, ...]


def as_table(report: HostReport) -> Table:
    """The report as people read it."""
    table = Table(
        title=f"{report.system}, kernel {report.kernel}", title_justify="left", box=None, pad_edge=False
    )
    for column in ("need", "here", "", "seen"):
        table.add_column(column, overflow="fold")
    style = {"native": "green", "substitute": "yellow", "missing": "bold red"}
    for need in report.needs:
        table.add_row(need.need, need.variant, f"[{style[need.state]}]{need.state}[/]", need.detail)
    return table
