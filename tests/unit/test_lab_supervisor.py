"""How the supervisor's server ends: with the answers that are being given, and without waiting for a call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import uvicorn

from uclab.api import plan_of
from uclab.lab import supervisor
from uclab.lab.client import CallOrder
from uclab.lab.events import EventLog
from uclab.lab.lab import Lab
from uclab.lab.order_log import OrderLog
from uclab.lab.service import make_service
from uclab.lab.supervisor import QuietServer
from uclab.runtime.readiness import wait_until


class QuickLab:
    """A lab that is down as soon as it is told to, and whose calls last for ever."""

    def __init__(self, folder: Path) -> None:
        self.events = EventLog(folder / "events.jsonl")
        self.orders = OrderLog(folder / "orders.jsonl")
        self.called = asyncio.Event()
        self.plan = plan_of("small-office")

    async def down(self) -> dict[str, Any]:
        self.events.add("lab", "down")
        return {"down": 0.1}

    async def place(self, order: CallOrder) -> None:
        self.called.set()
        await asyncio.Event().wait()


@asynccontextmanager
async def served(lab: QuickLab, folder: Path) -> AsyncIterator[tuple[httpx.AsyncClient, asyncio.Task[None]]]:
    """A client of the lab's service, and the serving, which ends after `/down` as the supervisor's does."""
    uds = str(folder / "api.sock")

    async def up() -> bool | None:
        return server.started or None

    def stop() -> None:
        lab.events.close()
        server.end()

    service = make_service(cast("Lab", lab), stop)
    server = QuietServer(uvicorn.Config(service, uds=uds, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    await wait_until(up, what="server", deadline_s=10)
    transport = httpx.AsyncHTTPTransport(uds=uds)
    async with httpx.AsyncClient(transport=transport, base_url="http://lab") as client:
        yield client, serving


async def events_of(client: httpx.AsyncClient) -> str:
    return (await client.get("/events")).text


def test_who_asked_for_the_end_is_answered_and_who_listens_hears_all(tmp_path: Path) -> None:
    async def scene() -> tuple[Any, str]:
        lab = QuickLab(tmp_path)
        async with served(lab, tmp_path) as (client, serving):
            # given somebody who listens to the lab's events
            listening = asyncio.create_task(events_of(client))
            # when the lab is told to end
            answer = (await client.post("/down")).json()
            heard = await listening
            # then the server ends by itself
            await asyncio.wait_for(serving, 10)
            return answer, heard

    answer, heard = asyncio.run(scene())
    # and both have been told everything
    assert answer == {"down": 0.1}
    assert '"kind": "down"' in heard


def test_who_waits_for_a_call_does_not_hold_the_end_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "ANSWERS_S", 0.05)

    async def scene() -> None:
        lab = QuickLab(tmp_path)
        async with served(lab, tmp_path) as (client, serving):
            # given somebody who waits for the end of a call
            order = {"id": "c", "caller": "a", "callee": "b"}
            waiting = asyncio.create_task(client.post("/calls", json=order))
            await lab.called.wait()
            # when the lab is told to end, then the server ends, and the caller is told that the lab is gone
            await client.post("/down")
            await asyncio.wait_for(serving, 5)
            with pytest.raises(httpx.TransportError):
                await waiting

    asyncio.run(scene())
