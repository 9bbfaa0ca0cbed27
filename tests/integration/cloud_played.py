"""What a played `cloud_scene` left behind, for the tests to look at."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from tests.integration.cloud_sandbox import UNSHARE

ROOT = Path(__file__).parents[2]
SCENE = (*UNSHARE, sys.executable, "-m", "tests.integration.cloud_scene")
SCENE_S = 240
SERVICES = ("kamailio", "rtpengine", "unbound", "/usr/bin/baresip")
SIP_PORTS = ("5061", "5096", "5097")


@dataclass(frozen=True)
class Played:
    """What the scene left behind."""

    seen: dict[str, Any]
    folder: Path

    def __getitem__(self, name: str) -> Any:
        return self.seen[name]

    def packets(self, display_filter: str, *fields: str, keys: bool = False) -> list[tuple[str, ...]]:
        """Fields of packets at the session controller, as tshark sees them; `keys`: with the TLS key log."""
        options = ["-o", f"tls.keylog_file:{self.folder / 'run' / 'keys' / 'tls.keylog'}"] if keys else []
        for port in SIP_PORTS:
            options += ["-d", f"tcp.port=={port},tls", "-d", f"tls.port=={port},sip"]
        columns = [part for field in fields for part in ("-e", field)]
        output = subprocess.run(
            [
                "tshark",
                "-r",
                str(self.folder / "sbc.pcapng"),
                *options,
                "-Y",
                display_filter,
                "-T",
                "fields",
                *columns,
            ],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        return [tuple(line.split("\t")) for line in output.splitlines()]

    @classmethod
    def play(cls, folder: Path) -> Self:
        """Play the scene in a sandbox; fails with the services' logs."""
        done = subprocess.run(
            [*SCENE, "play", str(folder)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=SCENE_S,
            check=False,
        )
        logs = "".join(
            f"\n== {log}\n{log.read_text()[-2000:]}" for log in folder.glob("*/services/*/output.log")
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}{logs}"
        return cls(json.loads((folder / "observations.json").read_text()), folder)

    @cached_property
    def services(self) -> list[dict[str, Any]]:
        """Processes inside containers."""
        return [
            fact
            for fact in self.seen["processes"]
            if fact["command"].startswith(SERVICES[:3])
            or (fact["uid"] and fact["command"].startswith(SERVICES[3]))
        ]
