"""Whom the load agent is tried against without a server between: baresip, linphone; and the agent
itself, as a test drives it."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from endpoints_emu.baresip.configuration import Settings
from endpoints_emu.baresip.phone import BaresipPhone
from endpoints_emu.phone import CallFailed, CallLeg, Phone
from tests.integration.cloud_plan import TIMING
from tests.integration.endpoints_authority import Authority
from tests.integration.endpoints_sandbox import DNS_ADDRESS, Sandbox, SandboxNode
from tests.integration.linphone import Linphone
from uclab.plan.schema.plan import Account, Endpoint

AGENT_AT, FAR_AT = "10.99.0.1", "10.99.0.2"
HOST = "agent.ucaas.test"
PORT = 5061
AGENT_HZ, FAR_HZ = 450, 700
AGENT, FAR = "1001", "1002"
DEADLINE_S = 15.0


class FarEnd(Protocol):
    """A user agent that is registered at the load agent's, and has at most one call."""

    declines: int
    """The status by which it refuses a call that rings."""
    busy: str
    """What it says when it is refused with 486: an expression."""
    in_clear: int
    """Packets of RTCP that it sends before it has set up its SRTP, at most."""

    async def call(self, user: str) -> None:
        """Call, and wait until it is answered; `CallFailed` with the status otherwise."""

    async def rings(self) -> None:
        """Until a call has come in."""

    async def answer(self) -> None: ...

    async def hold(self) -> None: ...

    async def resume(self) -> None: ...

    async def hang_up(self) -> None:
        """End the call, or refuse it."""

    async def ended(self) -> None:
        """Until no call is left."""

    def heard(self, hz: int) -> bool:
        """Whether that tone was most of what it heard of its last call; asked when that has ended."""

    async def stop(self) -> None: ...


class PhoneFarEnd:
    """One of the lab's own phones."""

    busy = "486|[Bb]usy"

    def __init__(self, phone: Phone, declines: int, in_clear: int) -> None:
        self.phone = phone
        self.declines = declines
        self.in_clear = in_clear
        self._leg: CallLeg | None = None
        self._seen = 0

    @property
    def leg(self) -> CallLeg:
        assert self._leg is not None
        return self._leg

    async def call(self, user: str) -> None:
        self._leg = await self.phone.call(user)
        await self.phone.established(self._leg)

    async def rings(self) -> None:
        self._leg = await self.phone.incoming(since=self._seen)
        self._seen = len(self.phone.events.history)

    async def answer(self) -> None:
        await self.phone.answer(self.leg)

    async def hold(self) -> None:
        await self.phone.hold(self.leg)

    async def resume(self) -> None:
        await self.phone.resume(self.leg)

    async def hang_up(self) -> None:
        await self.phone.hang_up(self.leg)

    async def ended(self) -> None:
        await self.phone.closed(self.leg)

    def heard(self, hz: int) -> bool:
        return self.phone.heard(self.leg, hz).heard

    async def stop(self) -> None:
        await self.phone.stop()


class LoadAgent:
    """`load_agent_driven` in a node."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, node: SandboxNode, folder: Path, order: dict[str, Any]) -> LoadAgent:
        """Started, and listening where the order says so."""
        path = folder / "order.json"
        path.write_text(json.dumps(order))
        with (folder / "agent.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *("setpriv", "--pdeathsig", "KILL", "nsenter", f"--net={node.namespace_path}"),
                *(sys.executable, "-m", "tests.integration.load_agent_driven", str(path)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        node.processes.append(process)
        agent = cls(process)
        ready = agent._waiting[0] = asyncio.get_running_loop().create_future()
        await asyncio.wait_for(ready, DEADLINE_S)
        return agent

    async def __call__(self, verb: str, *arguments: object) -> Any:
        """What the command came to. Raises `CallFailed`."""
        assert self._process.stdin
        number = next(self._numbers)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._process.stdin.write(json.dumps([number, verb, *arguments]).encode() + b"\n")
        answer = await asyncio.wait_for(future, DEADLINE_S)
        if "error" in answer:
            raise CallFailed(f"load agent: {verb} {arguments}: {answer['error']}")
        return answer["result"]

    async def _read(self) -> None:
        assert self._process.stdout
        async for line in self._process.stdout:
            answer = json.loads(line)
            self._waiting.pop(answer["number"]).set_result(answer)


@dataclass
class Scene:
    """The agent, and who it is tried against."""

    agent: LoadAgent
    far: FarEnd


async def _phone(node: SandboxNode, folder: Path, authority: Authority) -> FarEnd:
    endpoint = Endpoint(
        name="far",
        kind="desk-phone",
        driver="baresip",
        node="far",
        account=Account(FAR, "ucaas.test", "secret", "far"),
        registrar=HOST,
        registrar_port=PORT,
        transport="tls",
        tone_hz=FAR_HZ,
        registration=TIMING,
    )
    phone = BaresipPhone(endpoint, node, folder, Settings(authority.file, (DNS_ADDRESS,)))
    await phone.start()
    await phone.register()
    # baresip sends a PING in clear as each stream begins: with the call, and after each hold
    return PhoneFarEnd(phone, 486, 2)


@asynccontextmanager
async def scene_with(kind: str, folder: Path) -> AsyncIterator[Scene]:
    """An agent, and a phone of that kind that is registered there."""
    async with Sandbox(folder, {HOST: AGENT_AT}) as sandbox:
        nodes = [await sandbox.node("agent", AGENT_AT), await sandbox.node("far", FAR_AT)]
        authority = Authority("trusted", folder)
        order = {
            "host_name": HOST,
            "address": AGENT_AT,
            "port": PORT,
            "local": AGENT_AT,
            "ca": str(authority.file),
            "certificate": str(authority.issue(HOST, AGENT_AT)),
            "listens": True,
            "accounts": [{"user": AGENT, "domain": "ucaas.test", "password": "", "display": "agent"}],
            "tones": [AGENT_HZ],
        }
        agent = await LoadAgent.start(nodes[0], folder, order)
        own = folder / "far"
        own.mkdir()
        far: FarEnd
        if kind == "linphone":
            Linphone.furnish(own, authority.file, f"{HOST}:{PORT}", FAR, FAR_HZ)
            far = await Linphone.start(nodes[1], own)
        else:
            far = await _phone(nodes[1], own, authority)
        try:
            yield Scene(agent, far)
        finally:
            await far.stop()
