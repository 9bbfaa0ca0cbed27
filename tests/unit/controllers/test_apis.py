"""The controllers' HTTP APIs at their edge: exchanges and SD-WAN."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from controllers.circuit_api import make_api as circuit_api
from controllers.circuits import Circuit
from controllers.sdwan_api import make_api as sdwan_api
from controllers.sdwan_state import SdWanState
from tests.unit.api_asked import ask_everything
from uclab.access.bounded import MAX_BODY
from uclab.api import plan_of

END = {"switch": "sdx1-1", "port": 1, "vlan": 10, "prefixes": ["198.18.10.0/24"]}
CIRCUIT: dict[str, Any] = {"a": END, "b": {**END, "port": 2}, "rate_kbps": 1000}


class Kept:
    """An exchange that takes every circuit."""

    def __init__(self) -> None:
        self.circuits: dict[str, Circuit] = {}

    def read(self) -> dict[str, Circuit]:
        return self.circuits

    def put(self, circuit: Circuit) -> bool:
        new = circuit.name not in self.circuits
        self.circuits[circuit.name] = circuit
        return new

    def remove(self, name: str) -> None:
        del self.circuits[name]


async def put(name: str, body: Any) -> tuple[int, dict[str, Circuit]]:
    kept = Kept()
    transport = httpx.ASGITransport(circuit_api(kept))
    async with httpx.AsyncClient(transport=transport, base_url="http://exchange") as client:
        answer = await client.put(f"/circuits/{name}", json=body)
    if answer.status_code >= 400:
        assert answer.json()["error"]
    return answer.status_code, kept.circuits


async def test_a_circuit_is_made_as_ordered() -> None:
    status, circuits = await put("c", CIRCUIT)
    assert (status, list(circuits)) == (201, ["c"])


@pytest.mark.parametrize(
    ("name", "change", "status"),
    [
        ("..%2Fc", {}, 404),
        ("%1b", {}, 400),
        ("x" * 65, {}, 400),
        ("c", {"a": {**END, "switch": "../x"}}, 400),
        ("c", {"a": {**END, "port": 10**9}}, 400),
        ("c", {"a": {**END, "prefixes": ["0.0.0.0/0"] * 65}}, 400),
        ("c", {"rate_kbps": 10**12}, 400),
        ("c", {"padding": "x" * MAX_BODY}, 413),
    ],
)
async def test_a_wrong_circuit_is_refused_in_words(name: str, change: dict[str, Any], status: int) -> None:
    assert await put(name, {**CIRCUIT, **change}) == (status, {})


@pytest.mark.parametrize(
    "report",
    [
        b'{"side": "edge", "paths": {"wan1": {"delay_ms": NaN, "jitter_ms": 0, "loss_pct": 0}}}',
        b'{"side": "edge", "paths": {"wan1": {"delay_ms": 1e300, "jitter_ms": 0, "loss_pct": 0}}}',
        b'{"side": "edge", "paths": {"\\u001b[2J": null}}',
        b"[" * 10_000,
    ],
)
async def test_a_wrong_report_changes_nothing(report: bytes) -> None:
    state = SdWanState(plan_of("sd-wan").overlays)
    before = {site: state.figures(site, 0.0) for site in state.sites}
    transport = httpx.ASGITransport(sdwan_api(state))
    async with httpx.AsyncClient(transport=transport, base_url="http://controller") as client:
        answer = await client.post(f"/overlays/{state.sites[0]}/reports", content=report)
    assert (answer.status_code, bool(answer.json()["error"])) == (400, True)
    assert {site: state.figures(site, 0.0) for site in state.sites} == before


def test_no_input_makes_an_api_fail() -> None:
    ask_everything(circuit_api(Kept()), examples=40)
    ask_everything(sdwan_api(SdWanState(plan_of("sd-wan").overlays)), examples=40)
