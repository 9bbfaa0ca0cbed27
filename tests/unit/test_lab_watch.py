"""Which ends of processes are reported: those that nobody wanted."""

from __future__ import annotations

import asyncio
from pathlib import Path

from uclab.lab.watch import ProcessWatch


class Ending:
    """A process that ends when told."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def wait(self) -> int:
        await self.ended.wait()
        return -9


async def test_who_is_killed_on_purpose_and_started_again_is_watched_again(tmp_path: Path) -> None:
    told: list[str] = []
    watch = ProcessWatch(lambda name, _: told.append(name))
    first, second = Ending(), Ending()
    # given a program whose end is wanted
    watch.watch("edge-bgpd", first, tmp_path / "log")
    watch.expect_end("edge-bgpd")
    first.ended.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert told == []
    # when it runs again and ends unasked, then that is told
    watch.watch("edge-bgpd", second, tmp_path / "log")
    second.ended.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert told == watch.dead == ["edge-bgpd"]
    await watch.close()


async def test_who_runs_again_is_dead_no_more(tmp_path: Path) -> None:
    # given a program that died
    watch = ProcessWatch(lambda *_: None)
    first = Ending()
    watch.watch("edge-bgpd", first, tmp_path / "log")
    first.ended.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert watch.dead == ["edge-bgpd"]
    # when its router is restored, which restarts it, then nothing is dead
    watch.watch("edge-bgpd", Ending(), tmp_path / "log")
    assert watch.dead == []
    await watch.close()
