"""An exchange of three switches, and its controller as a process with its HTTP API."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from testbed.fabrics import FabricBuilder
from testbed.switches import wait_for
from uclab.plan.schema.codec import to_data
from uclab.plan.schema.plan import SiteFabric, SwitchRole

SWITCHES, CUSTOMERS = 3, 2
CIRCUIT: dict[str, Any] = {
    "a": {"switch": "ix1", "port": 1, "vlan": 10, "prefixes": ["10.10.0.0/16"]},
    "b": {"switch": "ix3", "port": 1, "vlan": 20, "prefixes": ["198.18.10.0/24"]},
    "rate_kbps": 10_000,
    "pcp": 5,
    "allowed_dscp": [46],
}
"""As the API is asked for it: from a site at the first switch to a cloud at the third."""


def exchange_fabric() -> SiteFabric:
    """Three switches in a row, two customer ports on each."""
    build = FabricBuilder()
    for number in range(SWITCHES):
        build.switch(f"ix{number + 1}", SwitchRole.CORE)
        for _ in range(CUSTOMERS):
            build.pc(f"ix{number + 1}")
    build.trunk("ix1", "ix2")
    build.trunk("ix2", "ix3")
    return build.fabric()


FABRIC = exchange_fabric()


class ExchangeProcess:
    """The controller's process, and its API."""

    def __init__(self, folder: Path) -> None:
        self.target = f"unix:{folder}/controller.sock"
        self._events = folder / "events.jsonl"
        self._events.touch()
        (folder / "fabric.json").write_text(json.dumps(to_data(FABRIC)))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "controllers.exchange", "--fabric", str(folder / "fabric.json"),
             "--listen", self.target, "--api", str(folder / "api.sock"), "--events", str(self._events)],
        )  # fmt: skip
        wait_for("the API's socket", (folder / "api.sock").exists, 20)
        transport = httpx.HTTPTransport(uds=str(folder / "api.sock"))
        self.api = httpx.Client(transport=transport, base_url="http://exchange", timeout=10)

    def kinds(self) -> list[str]:
        """What has happened so far."""
        return [json.loads(line)["kind"] for line in self._events.read_text().splitlines()]
