"""The SD-WAN's controller between its agents: reports in, choices out, and what an agent does with them."""

from __future__ import annotations

import asyncio
import re

import httpx
import pytest

from controllers.path_metrics import Figures
from controllers.sdwan_agent import ruleset
from controllers.sdwan_api import make_api, openapi
from controllers.sdwan_state import STALE_S, SdWanState
from testbed.plans import shipped_plan
from uclab.plan.schema.overlay import Overlay

pytestmark = pytest.mark.req("W6")

GOOD, LOSSY = Figures(20, 2, 0), Figures(20, 2, 15)


@pytest.fixture(scope="module")
def overlay() -> Overlay:
    return shipped_plan("sd-wan").overlays[0]


def report(state: SdWanState, now: float, wan1: Figures, back: Figures = GOOD) -> None:
    """Both ends report; `wan1` is what the edge measured, `back` what the gateway did."""
    state.report("branch", "edge", {"wan1": wan1, "wan2": GOOD}, now)
    state.report("branch", "gateway", {"wan1": back, "wan2": GOOD}, now)


def test_both_directions_count_and_each_class_is_steered_by_its_own_limits(overlay: Overlay) -> None:
    # given a path that loses 15 % on the way to the gateway alone
    state = SdWanState([overlay])
    changes = []
    for tick in range(30):
        report(state, tick / 10, GOOD, LOSSY)
        changes += list(state.decide(tick / 10))
    # then voice, video and signalling leave it, and what bears it stays
    assert {change.traffic_class for change in changes} == {"voice", "video", "signalling"}
    assert state.choice("branch") == {
        "voice": "wan2", "video": "wan2", "signalling": "wan2", "default": "wan1"
    }  # fmt: skip


def test_nothing_is_decided_before_both_ends_have_reported(overlay: Overlay) -> None:
    state = SdWanState([overlay])
    state.report("branch", "edge", {"wan1": LOSSY, "wan2": GOOD}, 0)
    assert not [change for tick in range(50) for change in state.decide(tick / 10)]
    assert not state.is_measured(0)


def test_an_agent_that_fell_silent_knows_nothing(overlay: Overlay) -> None:
    state = SdWanState([overlay])
    report(state, 0, GOOD)
    assert state.is_measured(STALE_S)
    assert state.figures("branch", STALE_S + 0.1) == {"wan1": None, "wan2": None}


def test_the_api_takes_reports_and_refuses_what_is_none(overlay: Overlay) -> None:
    figures = {"delay_ms": 20, "jitter_ms": 1, "loss_pct": 0}
    body = {"side": "edge", "paths": {"wan1": figures, "wan2": None}}

    async def conversation() -> list[httpx.Response]:
        transport = httpx.ASGITransport(make_api(SdWanState([overlay])))
        async with httpx.AsyncClient(transport=transport, base_url="http://controller") as client:
            return [
                await client.post("/overlays/branch/reports", json=body),
                await client.post("/overlays/nowhere/reports", json=body),
                await client.post("/overlays/branch/reports", json={"side": "middle"}),
                await client.get("/overlays"),
                await client.get("/openapi.json"),
            ]

    told, unknown, wrong, shown, described = asyncio.run(conversation())
    assert told.json() == dict.fromkeys(("voice", "video", "signalling", "default"), "wan1")
    assert unknown.status_code == 404
    assert wrong.status_code == 400
    assert shown.json()["branch"]["choice"]["voice"] == "wan1"
    assert described.json() == openapi()


def test_all_classes_are_put_on_their_paths_in_one_transaction(overlay: Overlay) -> None:
    text = ruleset(overlay, {"voice": "wan2", "video": "wan1", "signalling": "wan1", "default": "wan1"})
    flush, add = text.splitlines()
    assert flush == "flush map inet steering path_of_branch"
    marks = dict(re.findall(r"(\d+) : (\d+)", add))
    assert len(marks) == 64
    assert marks.pop("46") == "2"
    assert set(marks.values()) == {"1"}
