"""`uclab circuit` without a lab: what is ordered, what is printed, which exit status it has (W5)."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from typer.testing import CliRunner

from uclab.cli import circuit
from uclab.cli.main import app, main
from uclab.lab.circuits import CircuitOrder
from uclab.lab.client import WrongCircuit

pytestmark = pytest.mark.req("W5")

BODY: dict[str, Any] = {
    "a": {"switch": "sdx1-1", "port": 1, "vlan": 101, "prefixes": ["203.0.113.128/28"]},
    "b": {"switch": "sdx1-3", "port": 1, "vlan": 101, "prefixes": ["198.18.10.0/24"]},
    "rate_kbps": 11000, "pcp": None, "dscp": 46, "allowed_dscp": [46, 26],
}  # fmt: skip


class Recorder:
    """A lab's client that remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, CircuitOrder | None]] = []

    def circuits(self) -> dict[str, Any]:
        return {"sdx1": {"ports": {"north-cc1": "sdx1-1/1"}, "circuits": {"north-cc1": BODY}}}

    def create_circuit(self, name: str, order: CircuitOrder) -> dict[str, Any]:
        return self._done("created", name, order)

    def change_circuit(self, name: str, order: CircuitOrder) -> dict[str, Any]:
        return self._done("changed", name, order)

    def remove_circuit(self, name: str) -> dict[str, Any]:
        if name == "c9":
            raise WrongCircuit("there is no circuit `c9`; there are: north-cc1")
        return self._done("removed", name, None)

    def _done(self, done: str, name: str, order: CircuitOrder | None) -> dict[str, Any]:
        self.asked.append((done, name, order))
        return {"name": name, "done": done, "took_ms": 12.3}


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(circuit, "client_of", lambda _: recorder)
    return recorder


def said(*arguments: str, status: int = 0) -> str:
    done = CliRunner().invoke(app, ["circuit", *arguments])
    assert done.exit_code == status, done.output
    return done.output


def test_list_shows_customers_and_terms(lab: Recorder) -> None:
    printed = said("list")
    assert "exchange sdx1: north-cc1 at sdx1-1/1" in printed
    assert "sdx1-1/1 VLAN 101" in printed
    assert "as sent" in printed
    assert "46, 26" in printed
    assert json.loads(said("list", "--json")) == lab.circuits()


def test_change_names_only_what_was_given(lab: Recorder) -> None:
    assert said("change", "c", "--rate", "5000", "--pcp", "5", "--dscp", "keep") == (
        "circuit `c` changed; every switch has it after 12 ms\n"
    )
    assert lab.asked == [("changed", "c", CircuitOrder(rate_kbps=5000, pcp=5, keep=("dscp",)))]


@pytest.mark.parametrize(
    ("options", "order"),
    [
        (("--allow-dscp", "EF", "--allow-dscp", "26"), CircuitOrder(allowed_dscp=(46, 26))),
        (("--allow-dscp", "any"), CircuitOrder(keep=("allowed_dscp",))),
        ((), CircuitOrder()),
    ],
)
def test_markings_that_may_come_in(lab: Recorder, options: tuple[str, ...], order: CircuitOrder) -> None:
    said("change", "c", *options)
    assert lab.asked[-1] == ("changed", "c", order)


def test_new_circuit_is_ordered_with_both_ends(lab: Recorder) -> None:
    ends = ("--from", "north-cc1", "--to", "fra1", "--vlan", "200", "--rate", "2000")
    said("create", "guest", *ends, "--from-prefix", "10.0.0.0/8")
    order = CircuitOrder("north-cc1", "fra1", 200, ("10.0.0.0/8",), rate_kbps=2000)
    assert lab.asked == [("created", "guest", order)]


def test_done_is_printed_as_json_on_demand(lab: Recorder) -> None:
    assert json.loads(said("remove", "c", "--json")) == {"name": "c", "done": "removed", "took_ms": 12.3}
    assert lab.asked == [("removed", "c", None)]


@pytest.mark.parametrize(
    "options",
    [("--rate", "8"), ("--pcp", "9"), ("--dscp", "EFF"), ("--allow-dscp", "64"), ("--vlan", "4095")],
)
def test_value_out_of_range_ends_with_2_and_asks_nobody(lab: Recorder, options: tuple[str, ...]) -> None:
    said("change", "c", *options, status=2)
    assert lab.asked == []


def test_refused_order_ends_with_2_and_says_why(
    lab: Recorder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["uclab", "circuit", "remove", "c9"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "there is no circuit `c9`; there are: north-cc1\n"
