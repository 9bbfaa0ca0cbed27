"""The cloud on its little internet, for `cloud_scene`: started, spoken to, stopped."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloud_core.authority import Certificates, issue
from cloud_core.containers import SERVICE_ID, Podman
from cloud_core.services import RunningCloud, start_cloud
from tests.integration.cloud_plan import ACCOUNTS, CONTROLLER, make_plan
from tests.integration.cloud_sandbox import SandboxNode, build
from tests.integration.cloud_sip import SipClient, tls
from uclab.plan.schema.plan import Account, Endpoint, SessionController


class Scene:
    """The cloud, two phones behind NAT, and what was seen of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run_dir = folder
        self.nodes: dict[str, SandboxNode] = build()
        self.seen: dict[str, Any] = {}
        self.certificates: Certificates = issue(make_plan().certificates, folder / "pki", group=SERVICE_ID)
        self.podman = Podman(Path("/run/containers-of-lab"))
        self.cloud: RunningCloud | None = None

    async def start(
        self, name: str, controller: SessionController = CONTROLLER, endpoints: tuple[Endpoint, ...] = ()
    ) -> float:
        """Start the cloud with its files below `name`; seconds until all of it answered."""
        self.run_dir = self.folder / name
        began = time.monotonic()
        plan = replace(make_plan(), session_controllers=(controller,), endpoints=endpoints)
        self.cloud = await start_cloud(plan, self.nodes, self.run_dir, self.podman, self.certificates)
        return time.monotonic() - began

    async def stop(self) -> None:
        assert self.cloud
        await self.cloud.stop()

    async def client(self, account: Account = ACCOUNTS[2], node: str = "desk1", **values: Any) -> SipClient:
        context = values.pop("context", None) or tls(self.certificates.trusted)
        address = {"desk1": "10.10.110.11", "desk2": "10.10.110.12"}.get(node, "198.18.10.20")
        return await SipClient.connect(
            self.nodes[node], CONTROLLER, account, context, address=address, **values
        )
