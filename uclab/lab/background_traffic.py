"""Other customers of carriers: echo requests all the time, so that captures can show where they appear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from uclab.emulation.linux import processes
from uclab.emulation.linux.netns import Namespace
from uclab.emulation.linux.processes import Daemon
from uclab.plan.schema.plan import BackgroundTraffic


def command(chatter: BackgroundTraffic) -> list[str]:
    """The command that sends them (pure)."""
    return ["ping", "-n", "-q", "-i", f"{chatter.interval_ms / 1000:g}", chatter.target_address]


def start_chatter(
    chatter: Sequence[BackgroundTraffic], namespaces: Mapping[str, Namespace], run_dir: Path
) -> list[Daemon]:
    """Start all of them; each runs until the lab ends, whether it is answered or not."""
    return [
        processes.start(
            f"chatter-{traffic.source_node}",
            command(traffic),
            log=run_dir / "chatter" / f"{traffic.source_node}.log",
            namespace=namespaces[traffic.source_node],
        )
        for traffic in chatter
    ]
