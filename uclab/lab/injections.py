"""Intruders of a plan: programs that send forged media to a relay for as long as the lab lives."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from uclab.emulation.linux import processes
from uclab.emulation.linux.netns import Namespace
from uclab.emulation.linux.processes import Daemon
from uclab.plan.schema.codec import to_data
from uclab.plan.schema.injection import Injection
from uclab.runtime.installation import module_command


def start_injections(
    injections: Sequence[Injection], namespaces: Mapping[str, Namespace], run_dir: Path
) -> list[Daemon]:
    """Start all of them, each in its node's namespace."""
    return [
        processes.start(
            f"injection-{number}-{injection.source_node}",
            module_command("uclab.emulation.build.forged_media"),
            log=run_dir / "injections" / f"{number}-{injection.source_node}.log",
            namespace=namespaces[injection.source_node],
            stdin=json.dumps(to_data(injection)).encode(),
        )
        for number, injection in enumerate(injections, start=1)
    ]
