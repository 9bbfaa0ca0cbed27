"""The load agent against Asterisk 22: registrar, answering side, caller, server between two agents (D11).

Asterisk runs in a node of a sandbox; two agents in one process register there and call each other through it,
and its own extension.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from endpoints_emu import audio
from endpoints_emu.load.agent import speaker_of
from tests.integration.asterisk import BUSY, ROOT, TONE, Asterisk
from tests.integration.endpoints_authority import Authority
from tests.integration.endpoints_sandbox import Sandbox
from tests.integration.load_agent_far_ends import AGENT_AT, FAR_AT, PORT, LoadAgent
from uclab.plan.schema.plan import Account

pytestmark = [
    pytest.mark.root,
    pytest.mark.req("D11", "C9.1", "C9.4"),
    pytest.mark.skipif(not ROOT.exists(), reason="no Asterisk: `make setup` found none in Debian 14"),
]
HOST = "pbx.ucaas.test"
USERS = ("1001", "1002")
HZ, TONE_HZ = 450, 700


@dataclass
class Scene:
    """Two agents, both registered at the one Asterisk."""

    agents: LoadAgent
    asterisk: Asterisk
    attempts: list[dict[str, object]]


@asynccontextmanager
async def scene_in(folder: Path, password: str = "") -> AsyncIterator[Scene]:
    """`password`: what the agents believe theirs to be, where it is another than Asterisk's."""
    async with Sandbox(folder, {HOST: FAR_AT}) as sandbox:
        near, far = await sandbox.node("agents", AGENT_AT), await sandbox.node("pbx", FAR_AT)
        authority = Authority("trusted", folder)
        accounts = [Account(user, "ucaas.test", f"secret-of-{user}", user) for user in USERS]
        own = folder / "pbx"
        Asterisk.furnish(own, FAR_AT, PORT, authority.issue(HOST, FAR_AT), accounts, TONE_HZ)
        asterisk = await Asterisk.start(far, own)
        order = {
            "host_name": HOST,
            "address": FAR_AT,
            "port": PORT,
            "local": AGENT_AT,
            "ca": str(authority.file),
            "accounts": [asdict(a) | ({"password": password} if password else {}) for a in accounts],
            "tones": [HZ, HZ + 100],
        }
        agents = await LoadAgent.start(near, folder, order)
        yield Scene(agents, asterisk, [await agents("register", number) for number in range(len(USERS))])


def judge(seen: dict[str, object], *, by_peer: bool) -> None:
    """Of a call that has ended: encrypted, authentic, nearly nothing lost, ended as it was."""
    assert seen["encrypted"]
    assert (seen["authentication_failures"], seen["malformed"], seen["replayed"]) == (0, 0, 0)
    assert isinstance(seen["lost"], int)
    assert isinstance(seen["received"], int)
    assert seen["lost"] <= 0.02 * seen["received"]
    assert (seen["completed"], seen["by_peer"]) == (True, by_peer), seen


async def test_wrong_password_is_not_let_in(tmp_path: Path) -> None:
    async with scene_in(tmp_path, password="another") as scene:
        assert [attempt["status"] for attempt in scene.attempts] == [401, 401]


async def test_agent_registers_calls_is_heard_holds_and_hangs_up(tmp_path: Path) -> None:
    async with scene_in(tmp_path) as scene:
        assert [attempt["status"] for attempt in scene.attempts] == [200, 200]
        # when an agent calls the extension that sends a tone, then it hears the tone
        assert await scene.agents("call", 0, TONE) == {"call": 0}
        assert (await scene.agents("listen", 0, TONE_HZ))["heard"]
        # when it holds Asterisk, and comes back, then it hears the tone again
        await scene.agents("hold", 0)
        await scene.agents("silence", 0)
        await scene.agents("resume", 0)
        assert (await scene.agents("listen", 0, TONE_HZ))["heard"]
        await scene.agents("hang_up", 0)
        judge(await scene.agents("look", 0), by_peer=False)
        # and Asterisk heard the agent
        assert audio.listen(scene.asterisk.heard, HZ).heard


async def test_asterisk_calls_the_agent_and_hangs_up(tmp_path: Path) -> None:
    async with scene_in(tmp_path) as scene:
        await scene.asterisk.ask(f"channel originate PJSIP/{USERS[0]} extension {TONE}@lab")
        await scene.agents("taken", 0)
        assert (await scene.agents("listen", 0, TONE_HZ))["heard"]
        await scene.asterisk.ask("channel request hangup all")
        await scene.agents("until", 0, "state", "ended")
        judge(await scene.agents("look", 0), by_peer=True)
        assert audio.listen(scene.asterisk.heard, HZ).heard


async def test_agents_hear_and_hold_each_other_through_asterisk(tmp_path: Path) -> None:
    async with scene_in(tmp_path) as scene:
        # given a call from agent to agent; the called side's is the first that there is
        assert await scene.agents("call", 0, USERS[1]) == {"call": 1}
        await asyncio.gather(scene.agents("receive", 0), scene.agents("receive", 1))
        # when one holds, then Asterisk holds the other; when it comes back, both hear each other again
        await scene.agents("hold", 0)
        await scene.agents("until", 1, "held_by_peer", True)
        await scene.agents("resume", 0)
        await scene.agents("until", 1, "held_by_peer", False)
        await asyncio.gather(scene.agents("receive", 0), scene.agents("receive", 1))
        await scene.agents("hang_up", 1)
        await scene.agents("until", 0, "state", "ended")
        for number, other in ((0, USERS[0]), (1, USERS[1])):
            seen = await scene.agents("look", number)
            judge(seen, by_peer=number == 0)
            # each heard the other's signal and nobody else's
            assert seen["speakers"] == [speaker_of(other)]


async def test_refusals_are_told_by_either_side(tmp_path: Path) -> None:
    async with scene_in(tmp_path) as scene:
        assert (await scene.agents("call", 0, BUSY))["refused"] == 486
        assert (await scene.agents("call", 0, "9999"))["refused"] == 404
        await scene.agents("refuse", True)
        assert (await scene.agents("call", 0, USERS[1]))["refused"] == 486
