"""An exchange in a plan: who is plugged in where, what its circuits let in, and that its controller does the
same as the plan says (W5)."""

from __future__ import annotations

from functools import cache
from ipaddress import IPv4Network

import pytest

from controllers.circuit_api import CircuitBody
from controllers.circuits import Exchange as Controller
from testbed.fake_fabric import FakeFabric, ethernet
from testbed.plans import shipped_plan
from uclab.lab.circuits import CircuitOrder, NoSuchCircuit, WrongOrder, body_of, ordered
from uclab.plan.lan.spanning_trees import PortRef
from uclab.plan.resolve.lines import wan_lines
from uclab.plan.schema.plan import Plan
from uclab.plan.schema.sdn_fabric import CircuitExchange

pytestmark = pytest.mark.req("W5")


@cache
def plan() -> Plan:
    return shipped_plan("sdn-circuits")


def exchange() -> CircuitExchange:
    [found] = plan().circuit_exchanges
    return found


def controller() -> Controller:
    """The exchange's controller, with the planned circuits made through its API."""
    made = Controller(exchange().fabric)
    for circuit in exchange().circuits:
        made.put(CircuitBody.model_validate(body_of(circuit)).circuit(circuit.name))
    return made


def test_customers_are_sites_on_the_first_switches_and_the_data_centre_on_the_last() -> None:
    assert {p.customer: f"{p.switch}/{p.port}" for p in exchange().ports} == {
        "north-cc1": "sdx1-1/1",
        "south-cc2": "sdx1-2/1",
        "fra1": "sdx1-3/1",
    }


def test_circuit_lets_in_public_prefix_and_session_addresses_of_its_own_site_alone() -> None:
    north, south = exchange().circuits
    assert north.a.prefixes[0] == "203.0.113.128/28"
    assert south.a.prefixes[0] == "203.0.113.144/28"
    assert {IPv4Network(p).prefixlen for p in north.a.prefixes[1:]} == {32}
    assert north.b.prefixes[0] == "198.18.10.0/24"
    assert not set(north.a.prefixes) & set(south.a.prefixes)
    assert north.allowed_dscp == (0, 18, 26, 34, 46, 48)


def test_rate_is_above_the_lines_or_as_the_topology_says() -> None:
    assert [circuit.rate_kbps for circuit in exchange().circuits] == [5_500, 6_000]


@pytest.mark.parametrize("endpoint", ["desk1", "sdesk1"])
def test_controller_leads_frames_the_way_that_the_plan_says(endpoint: str) -> None:
    # given a voice packet of a site, as its termination unit sends it
    hops = next(path.hops for path in plan().paths if path.endpoint == endpoint)
    there = [hop for hop in hops if hop.tap.startswith("sdx1-")]
    switch, _, port = there[0].tap.partition(":")
    source = {"desk1": "203.0.113.129", "sdesk1": "203.0.113.145"}[endpoint]
    frame = ethernet(
        "02:00:00:00:00:01", "02:00:00:00:00:02", there[0].vlan, 5,
        ipv4_src=source, ipv4_dst="198.18.10.11", dscp=46,
    )  # fmt: skip
    # when the controller's tables carry it
    fake = FakeFabric(exchange().fabric, controller().tables())
    (delivery,) = fake.send(PortRef(switch, int(port)), frame).deliveries
    # then it passes the plan's taps, comes out with the plan's tag, and keeps its priority
    passed = [there[0].tap, *map(str, delivery.way), str(delivery.port)]
    assert set(passed) <= {hop.tap for hop in there}
    assert (str(delivery.port), delivery.frame.vlan) == (there[-1].tap, there[-1].vlan)
    assert (delivery.frame.pcp, delivery.frame.dscp) == (5, 46)


@pytest.mark.req("V2")
def test_line_across_an_exchange_is_cut_at_the_sites_own_cable() -> None:
    assert {line.near.device: line.link for line in wan_lines(plan()) if line.private} == {
        "edge": "edge-fra1",
        "sedge": "sedge-fra1",
    }


PLANNED = {"sdx1": exchange()}
PRESENT = {"sdx1": {c.name: body_of(c) for c in exchange().circuits}}


def test_planned_circuit_needs_no_more_than_its_name() -> None:
    name, body = ordered("north-cc1", CircuitOrder(), PLANNED, {"sdx1": {}}, create=True)
    assert (name, body) == ("sdx1", PRESENT["sdx1"]["north-cc1"])


def test_change_keeps_what_it_does_not_name() -> None:
    order = CircuitOrder(rate_kbps=500, pcp=4, keep=("allowed_dscp",))
    _, body = ordered("north-cc1", order, PLANNED, PRESENT, create=False)
    assert body == {**PRESENT["sdx1"]["north-cc1"], "rate_kbps": 500, "pcp": 4, "allowed_dscp": None}


def test_new_circuit_takes_what_lives_at_its_ports_from_the_plan() -> None:
    order = CircuitOrder("north-cc1", "sdx1-3/1", 200, rate_kbps=1000)
    _, body = ordered("extra", order, PLANNED, PRESENT, create=True)
    assert (body["a"]["switch"], body["a"]["vlan"]) == ("sdx1-1", 200)
    assert "203.0.113.128/28" in body["a"]["prefixes"]
    assert "198.18.10.0/24" in body["b"]["prefixes"]
    assert CircuitBody.model_validate(body).circuit("extra").pcp is None


WRONG: dict[str, tuple[str, CircuitOrder, bool, str]] = {
    "unknown port": (
        "x", CircuitOrder("west", "fra1", 200, rate_kbps=1000), True,
        r"no customer port `west`; there are: north-cc1 \(sdx1-1/1\)",
    ),
    "unknown far port": (
        "x", CircuitOrder("north-cc1", "fra9", 200, rate_kbps=1000), True, "no customer port `fra9`",
    ),
    "too little said": ("x", CircuitOrder("north-cc1"), True, "both ends, a VLAN id and a rate"),
    "there already": ("north-cc1", CircuitOrder(), True, "is there already; `uclab circuit change north-cc1"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "order", "create", "said"), WRONG.values(), ids=WRONG.keys())
def test_wrong_order_names_what_there_is(name: str, order: CircuitOrder, create: bool, said: str) -> None:
    with pytest.raises(WrongOrder, match=said):
        ordered(name, order, PLANNED, PRESENT, create=create)


def test_change_of_a_circuit_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(NoSuchCircuit, match="no circuit `c9`; there are: north-cc1, south-cc2"):
        ordered("c9", CircuitOrder(), PLANNED, PRESENT, create=False)


def test_lab_without_exchange_says_so() -> None:
    with pytest.raises(WrongOrder, match="carrier of kind `sdn`"):
        ordered("c", CircuitOrder(), {}, {}, create=True)
