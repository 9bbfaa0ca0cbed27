"""The lab's API at its edge: whatever comes in, wrong orders are refused in words, and the lab never sees
them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.api_asked import ask_everything
from uclab.access.bounded import MAX_BODY
from uclab.access.names import LAB, WrongName, as_name
from uclab.api import plan_of
from uclab.lab.circuits import CircuitOrder
from uclab.lab.client import CallOrder, LabClient, MessageOrder
from uclab.lab.directory import LABS_VARIABLE, LabDirectory
from uclab.lab.errors import Refused
from uclab.lab.events import EventLog
from uclab.lab.lab import CommandPlace, Lab
from uclab.lab.order_log import OrderLog
from uclab.lab.service import make_service
from uclab.plan.paths.line_loss import call_s
from uclab.records.run import CallRecord, MessageRecord

CALL = {"id": "c1", "caller": "desk1", "callee": "desk2"}


class Recorder:
    """A lab that does whatever it is told, and remembers it."""

    def __init__(self, folder: Path) -> None:
        self.events = EventLog(folder / "events.jsonl")
        self.orders = OrderLog(folder / "orders.jsonl")
        self.done: list[Any] = []
        self.plan = plan_of("small-office")

    def state(self) -> dict[str, Any]:
        return {"phase": "up"}

    async def inspect(self, subject: str | None) -> dict[str, Any]:
        return {"subject": subject}

    async def place(self, order: CallOrder) -> CallRecord:
        self.done.append(order)
        return CallRecord(order.id, order.caller, order.callee, order.kind, established=True, started_at=0.0)

    async def send(self, order: MessageOrder) -> list[MessageRecord]:
        self.done.append(order)
        return [MessageRecord(name, order.sender, order.recipient, "", 0.0) for name in order.asked.ids]

    async def set_bulk(self, action: str) -> None:
        self.done.append(action)

    async def fail(self, name: str, how: str, figures: dict[str, object]) -> str:
        self.done.append((name, how, figures))
        return name

    async def heal(self, name: str) -> str:
        self.done.append(name)
        return name

    async def circuits(self) -> dict[str, Any]:
        return {}

    async def put_circuit(self, name: str, order: CircuitOrder, *, create: bool) -> dict[str, Any]:
        self.done.append((name, order, create))
        return {}

    async def remove_circuit(self, name: str) -> dict[str, Any]:
        self.done.append(name)
        return {}

    def namespace_of(self, node: str) -> str:
        return f"/run/netns/{node}"

    def hand_in(self, node: str, command: str) -> CommandPlace:
        self.done.append((node, command))
        return CommandPlace(self.namespace_of(node), {"/etc/hosts": f"/run/{node}/hosts"})

    async def overlays(self) -> dict[str, Any]:
        raise Refused("no SD-WAN")

    async def down(self) -> dict[str, Any]:
        self.done.append("down")
        return {}


@pytest.fixture
def lab(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path)


@pytest.fixture
async def api(lab: Recorder) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(make_service(cast("Lab", lab), lambda: lab.done.append("stop")))
    async with httpx.AsyncClient(transport=transport, base_url="http://lab") as client:
        yield client


async def test_a_call_is_placed_as_ordered(api: httpx.AsyncClient, lab: Recorder) -> None:
    order = {**CALL, "seconds": 3, "hold": True, "hold_after": 1, "callee": "+4930123"}
    assert (await api.post("/calls", json=order)).status_code == 200
    assert lab.done == [CallOrder("c1", "desk1", "+4930123", "call", 3, True, 1)]


async def test_a_call_without_a_length_is_as_long_as_a_verdict_takes(
    api: httpx.AsyncClient, lab: Recorder
) -> None:
    assert (await api.post("/calls", json=CALL)).status_code == 200
    assert lab.done == [CallOrder("c1", "desk1", "desk2", "call", call_s(lab.plan, "desk1", "desk2"))]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"id": "../../../x"}, "`id`"),
        ({"id": "/etc/x"}, "`id`"),
        ({"id": ".."}, "`id`"),
        ({"id": "c\n"}, "`id`"),
        ({"id": "c\u202e"}, "`id`"),
        ({"id": "x" * 161}, "`id`"),
        ({"id": 5}, "`id`"),
        ({"caller": "../desk1"}, "`caller`"),
        ({"callee": "+49@evil.example"}, "`callee`"),
        ({"callee": "desk2;x=y\r\nBYE"}, "`callee`"),
        ({"transfer_to": "a b"}, "`transfer_to`"),
        ({"kind": "<b>"}, "`kind`"),
        ({"seconds": 1e9}, "`seconds`"),
        ({"seconds": -1}, "`seconds`"),
        ({"seconds": "5"}, "`seconds`"),
        ({"seconds": True}, "`seconds`"),
        ({"hold_after": 9.0, "seconds": 3.0}, "hold_after"),
        ({"surplus": 1}, "`surplus`"),
    ],
)
async def test_a_wrong_call_is_refused_in_words(
    api: httpx.AsyncClient, lab: Recorder, change: dict[str, Any], word: str
) -> None:
    answer = await api.post("/calls", json={**CALL, **change})
    assert answer.status_code == 400
    assert word in answer.json()["error"]
    assert lab.done == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe",
        b'{"id": "\\ud800"}',
        b"[" * 60_000,
        b'{"a":' * 9_000,
        b'{"id": "c", "caller": "a", "callee": "b", "seconds": NaN}',
        b'{"id": "c", "caller": "a", "callee": "b", "seconds": Infinity}',
        b'{"id": "c", "caller": "a", "callee": "b", "seconds": 1' + b"0" * 5_000 + b"}",
    ],
)
async def test_a_body_that_is_no_order_is_refused(api: httpx.AsyncClient, lab: Recorder, body: bytes) -> None:
    answer = await api.post("/calls", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert lab.done == []


async def test_a_long_body_is_refused_before_it_is_read(api: httpx.AsyncClient, lab: Recorder) -> None:
    # given somebody who sends without end, and does not say how much
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1024
            yield b" " * 1024

    # then the answer comes, and no more than the bound was taken
    answer = await api.post("/calls", content=endless())
    assert (answer.status_code, "longer than" in answer.json()["error"]) == (413, True)
    assert sent <= MAX_BODY + 2048
    # and who says how much is refused at once
    answer = await api.post("/down", headers={"content-length": str(300 * 2**20)}, content=b"{}")
    assert answer.status_code == 413
    assert lab.done == []


@pytest.mark.parametrize("way", ["POST /fail/{}", "POST /heal/{}", "DELETE /circuits/{}", "POST /bulk/{}"])
@pytest.mark.parametrize("name", ["..%2Fdown", "%2e%2e", "a%00b", "a%0Ab", "%E2%80%AEx", "x" * 65, "-a"])
async def test_a_path_holds_names_alone(api: httpx.AsyncClient, lab: Recorder, way: str, name: str) -> None:
    method, path = way.split()
    answer = await api.request(method, path.format(name))
    assert answer.status_code in (400, 404)
    assert answer.json()["error"]
    assert lab.done == []


@pytest.mark.parametrize(
    "body", [{"figures": {"loss": 1e300}}, {"figures": {"loss": "x" * 40}}, {"figures": []}, {"how": 1}, 7]
)
async def test_a_wrong_failure_is_refused(api: httpx.AsyncClient, lab: Recorder, body: Any) -> None:
    answer = await api.post("/fail/wan1", json=body)
    assert (answer.status_code, lab.done) == (400, [])


@pytest.mark.parametrize("start", ["-1", "x", "1" * 30, "٣", ""])
async def test_events_are_asked_for_by_number(api: httpx.AsyncClient, start: str) -> None:
    assert (await api.get("/events", params={"start": start})).status_code == 400


async def test_who_asks_for_what_there_is_not_is_told_where_to_look(api: httpx.AsyncClient) -> None:
    for method, path, status in (("GET", "/nothing", 404), ("GET", "/down", 405), ("PUT", "/calls", 405)):
        answer = await api.request(method, path)
        assert answer.status_code == status
        assert "/openapi.json" in answer.json()["error"]


@pytest.mark.parametrize("up", [True, False])
def test_no_input_makes_the_service_fail(tmp_path: Path, up: bool) -> None:
    # given a lab that does everything, and a real one that is not up yet
    plan = plan_of("small-office")
    lab = cast("Lab", Recorder(tmp_path)) if up else Lab("a", plan, tmp_path)
    service = make_service(lab, lambda: None)
    # when it is asked whatever fits, and does not fit, its description, then no answer is an error of its own
    ask_everything(service, examples=60)


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabClient:
    monkeypatch.setenv(LABS_VARIABLE, str(tmp_path / "labs"))
    return LabClient(LabDirectory("a"))


@pytest.mark.parametrize("name", ["../down", "..", "", "a/b", "a b", "a\x1b[31m", "a\n"])
def test_the_client_asks_nobody_by_a_wrong_name(client: LabClient, name: str) -> None:
    for ask in (client.fail, client.heal, client.remove_circuit, client.namespace_of, client.bulk):
        with pytest.raises(WrongName) as refused:
            ask(name)
        assert str(refused.value).isprintable()


@pytest.mark.parametrize("name", ["../victim", "/etc", "..", ".", "", "a/b", "-a", "a\x00", "a\n", "x" * 81])
def test_a_labs_name_is_no_path(name: str) -> None:
    with pytest.raises(WrongName, match="allowed: at most 80 letters"):
        LabDirectory(name)


async def test_calls_have_ids_of_their_own(tmp_path: Path) -> None:
    # given a lab in which a call was placed
    lab = Lab("a", plan_of("small-office"), tmp_path)
    lab.phase = "up"
    lab._calls._ids.add("c1")
    transport = httpx.ASGITransport(make_service(lab, lambda: None))
    # then another one of that id, whose recordings would take its place, is refused
    async with httpx.AsyncClient(transport=transport, base_url="http://lab") as client:
        answer = await client.post("/calls", json=CALL)
    assert (answer.status_code, "placed already" in answer.json()["error"]) == (409, True)


@given(st.text())
def test_what_is_named_after_something_has_a_name(text: str) -> None:
    assert LAB.fits(as_name(text))
    assert LAB.fits(f"uclab-{as_name(text)}-abc_12")


def test_names_stay_readable() -> None:
    assert as_name("port-wrongly-trusted:desk1") == "port-wrongly-trusted-desk1"
    assert as_name("x:../../etc") == "x-..-..-etc"


@pytest.mark.req("D3")
async def test_each_order_is_written_down_when_it_comes_and_when_it_is_done(
    lab: Recorder, api: httpx.AsyncClient, tmp_path: Path
) -> None:
    await api.post("/calls", json=CALL)
    await api.post("/fail/edge-isp1", json={})
    lines = [json.loads(line) for line in (tmp_path / "orders.jsonl").read_text().splitlines()]
    assert [(one["number"], one["stage"], one["what"], one["subject"]) for one in lines] == [
        (1, "asked", "call", "c1"),
        (1, "done", "call", "c1"),
        (2, "asked", "fail", "edge-isp1"),
        (2, "done", "fail", "edge-isp1"),
    ]
    assert lines[0]["call"]["callee"] == "desk2"


@pytest.mark.req("D3")
async def test_an_order_that_is_refused_is_written_down_with_the_reason(tmp_path: Path) -> None:
    lab = Lab("a", plan_of("small-office"), tmp_path)
    transport = httpx.ASGITransport(make_service(lab, lambda: None))
    async with httpx.AsyncClient(transport=transport, base_url="http://lab") as client:
        await client.post("/calls", json=CALL)
    _, refused = (json.loads(line) for line in (tmp_path / "orders.jsonl").read_text().splitlines())
    assert (refused["stage"], refused["why"]) == ("refused", "lab `a` is starting, not up")
