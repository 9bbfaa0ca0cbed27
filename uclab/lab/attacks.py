"""Attackers of a drill: a program each, started before the phones, so that these come up against them."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path

from uclab.emulation.linux import processes
from uclab.emulation.linux.processes import Daemon
from uclab.emulation.mininet.network import LabNet
from uclab.plan.schema.attacks import Attack
from uclab.plan.schema.codec import to_data
from uclab.runtime.installation import IMPORTING, module_command
from uclab.runtime.logs import last_lines
from uclab.runtime.node import NotReady
from uclab.runtime.readiness import wait_until

READY_S = 60.0
STANDS = "stands"


async def start_attacks(attacks: Sequence[Attack], network: LabNet, folder: Path) -> None:
    """Start every attack; returns when each is at its height for the first time. Raises `NotReady`."""
    os.makedirs(folder, exist_ok=True)
    await asyncio.gather(
        *(_start(number, attack, network, folder) for number, attack in enumerate(attacks, 1))
    )


async def _start(number: int, attack: Attack, network: LabNet, folder: Path) -> None:
    name = f"attacker-{number}"
    described = folder / f"{name}.json"
    described.write_text(json.dumps(to_data(attack), indent=1) + "\n")
    daemon = processes.start(
        name,
        module_command("endpoints_emu.attacker", str(described)),
        log=folder / f"{name}.log",
        namespace=network.namespaces[attack.source_node],
        env=IMPORTING,
    )

    async def look() -> bool | None:
        return _stands(daemon)

    await wait_until(look, what=f"{name}: {attack.kind} at {attack.target_address}", deadline_s=READY_S)


def _stands(daemon: Daemon) -> bool | None:
    said = last_lines(daemon.log)
    if daemon.returncode is not None:
        raise NotReady(f"{daemon.name} ended with status {daemon.returncode}; its log ends:\n{said}")
    return True if STANDS in said.splitlines() else None
