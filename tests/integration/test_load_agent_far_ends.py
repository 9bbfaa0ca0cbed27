"""The load agent against real user agents without a server between: baresip, linphone (D11)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from endpoints_emu.phone import CallFailed
from tests.integration.load_agent_far_ends import AGENT, AGENT_HZ, FAR, FAR_HZ, Scene, scene_with

pytestmark = [pytest.mark.root, pytest.mark.req("D11", "C9.1", "C9.4")]
FAR_ENDS = ["baresip", "linphone"]


async def hears(scene: Scene, number: int = 0) -> None:
    """The agent hears the far end, from now on."""
    heard = await scene.agent("listen", number, FAR_HZ)
    assert heard["heard"], heard


def judge(scene: Scene, seen: dict[str, Any], *, by_peer: bool) -> None:
    """Of a call that has ended: media encrypted, authentic and whole both ways, and the end as it was."""
    assert seen["encrypted"]
    assert (seen["authentication_failures"], seen["replayed"]) == (0, 0)
    assert seen["malformed"] <= scene.far.in_clear
    assert seen["lost"] <= 0.02 * seen["received"]
    assert seen["sent"] > 100
    assert seen["reports_sent"] > 0
    assert (seen["completed"], seen["by_peer"]) == (True, by_peer), seen
    assert scene.far.heard(AGENT_HZ)


@pytest.mark.parametrize("kind", FAR_ENDS)
async def test_agent_calls_holds_resumes_and_hangs_up(kind: str, tmp_path: Path) -> None:
    # given a far end that takes the agent's call
    async with scene_with(kind, tmp_path) as scene:
        calling = asyncio.create_task(scene.agent("call", 0, FAR))
        await scene.far.rings()
        await scene.far.answer()
        assert await calling == {"call": 0}
        await hears(scene)
        # when the agent holds it, then it hears nothing more
        await scene.agent("hold", 0)
        await scene.agent("silence", 0)
        # when it takes it back, then both hear each other
        await scene.agent("resume", 0)
        await hears(scene)
        await asyncio.gather(scene.agent("hang_up", 0), scene.far.ended())
        judge(scene, await scene.agent("look", 0), by_peer=False)


@pytest.mark.parametrize("kind", FAR_ENDS)
async def test_far_end_calls_holds_resumes_and_hangs_up(kind: str, tmp_path: Path) -> None:
    # given a far end that has called the agent
    async with scene_with(kind, tmp_path) as scene:
        await asyncio.gather(scene.far.call(AGENT), scene.agent("taken", 0))
        await hears(scene)
        # when it holds the agent, then the agent knows
        await scene.far.hold()
        await scene.agent("until", 0, "held_by_peer", True)
        # when it comes back, then both hear each other
        await scene.far.resume()
        await scene.agent("until", 0, "held_by_peer", False)
        await hears(scene)
        await scene.far.hang_up()
        await asyncio.gather(scene.agent("until", 0, "state", "ended"), scene.far.ended())
        judge(scene, await scene.agent("look", 0), by_peer=True)


@pytest.mark.parametrize("kind", FAR_ENDS)
async def test_either_side_refuses(kind: str, tmp_path: Path) -> None:
    async with scene_with(kind, tmp_path) as scene:
        # when the far end refuses the agent's call, then the agent knows how
        calling = asyncio.create_task(scene.agent("call", 0, FAR))
        await scene.far.rings()
        await scene.far.hang_up()
        assert (await calling)["refused"] == scene.far.declines
        await scene.far.ended()
        # when the agent refuses the far end's, then the far end does
        await scene.agent("refuse", True)
        with pytest.raises(CallFailed, match=scene.far.busy):
            await scene.far.call(AGENT)
        assert await scene.agent("refused") == 1
