"""The decision process: what routers end up with, whatever their neighbours, filters and preferences are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uclab.plan.schema.errors import PlanError
from uclab.plan.schema.routing import BgpNeighbour, PrefixRule, Route, Routing
from uclab.plan.wan.bgp_routes import allows, converge

pytestmark = pytest.mark.req("P3")

ANY = (PrefixRule("0.0.0.0/0", longest=32),)
PREFIXES = [f"198.18.{number}.0/24" for number in range(4)]
relaxed = settings(max_examples=60, deadline=None)

Lab = dict[str, Routing]


def address(one: str, other: str) -> str:
    """`one`'s address on its cable to `other`; routers are named r0, r1, ..."""
    return f"10.{one[1:]}.{other[1:]}.1"


def owners(lab: Mapping[str, Routing]) -> dict[str, str]:
    return {address(a, b): a for a in lab for b in lab if a != b}


def speaker(name: str, asn: int, *networks: str) -> Routing:
    return Routing(asn, f"10.255.0.{int(name[1:]) + 1}", networks, (), 3, 9)


def joined(lab: Lab, one: str, other: str, near: dict[str, object], far: dict[str, object]) -> Lab:
    """The lab with a session between two routers; `near` and `far` are what each end sets."""
    ends = ((one, other, near), (other, one, far))
    changed = dict(lab)
    for name, peer, settings_ in ends:
        plain = BgpNeighbour(peer, address(peer, name), lab[peer].asn, ANY, ANY, 100)
        session = replace(plain, **settings_)  # type: ignore[arg-type]
        changed[name] = replace(changed[name], neighbours=(*changed[name].neighbours, session))
    return changed


def learned(lab: Lab) -> dict[str, dict[str, str]]:
    """Router to prefix to the router that it goes to next."""
    owner = owners(lab)
    return {
        name: {route.prefix: owner[route.via] for route in routes}
        for name, routes in converge(lab, owner).items()
    }


@st.composite
def labs(draw: st.DrawFn) -> Lab:
    """Routers of different AS numbers, each with prefixes of its own, joined and filtered in any way. All
    prefer alike, so that each of them settles (RFC 4264 has those that do not)."""
    count = draw(st.integers(2, 5))
    lab: Lab = {
        f"r{n}": speaker(f"r{n}", 65001 + n, *draw(st.sets(st.sampled_from(PREFIXES), max_size=2)))
        for n in range(count)
    }
    rules = st.one_of(
        st.just(ANY),
        st.sets(st.sampled_from(PREFIXES), max_size=3).map(
            lambda chosen: tuple(PrefixRule(prefix) for prefix in sorted(chosen))
        ),
    )
    for n in range(count):
        for other in range(n):
            if draw(st.booleans()):
                near, far = (
                    {"accept": draw(rules), "announce": draw(rules), "prepend": draw(st.integers(0, 2))}
                    for _ in range(2)
                )
                lab = joined(lab, f"r{n}", f"r{other}", near, far)
    return lab


@relaxed
@given(lab=labs())
def test_filters_of_both_ends_hold_on_every_learned_route(lab: Lab) -> None:
    owner = owners(lab)
    for name, routes in converge(lab, owner).items():
        for route in routes:
            session = next(s for s in lab[name].neighbours if s.address == route.via)
            back = next(s for s in lab[owner[route.via]].neighbours if owner[s.address] == name)
            assert allows(session.accept, route.prefix)
            assert allows(back.announce, route.prefix)


@relaxed
@given(lab=labs())
def test_following_routes_leads_to_the_origin_and_never_in_a_circle(lab: Lab) -> None:
    table = learned(lab)
    for name, routes in table.items():
        for prefix in routes:
            here, seen = name, {name}
            while prefix not in lab[here].networks:
                here = table[here][prefix]
                assert here not in seen
                seen.add(here)


@relaxed
@given(lab=labs())
def test_nobody_learns_a_prefix_that_it_has_itself_or_that_nobody_has(lab: Lab) -> None:
    origins = {prefix for routing in lab.values() for prefix in routing.networks}
    for name, routes in learned(lab).items():
        assert not set(routes) & set(lab[name].networks)
        assert set(routes) <= origins


@relaxed
@given(lab=labs(), data=st.data())
def test_a_session_less_never_adds_a_prefix(lab: Lab, data: st.DataObject) -> None:
    pairs = [(name, s.device) for name, routing in lab.items() for s in routing.neighbours if name < s.device]
    if not pairs:
        return
    gone = data.draw(st.sampled_from(pairs))
    fewer = {
        name: replace(
            routing,
            neighbours=tuple(s for s in routing.neighbours if tuple(sorted((name, s.device))) != gone),
        )
        for name, routing in lab.items()
    }
    before, after = learned(lab), learned(fewer)
    assert all(set(after[name]) <= set(before[name]) for name in lab)


@given(
    rule=st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)),
    net=st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)),
    longest=st.one_of(st.none(), st.integers(0, 32)),
)
def test_prefix_list_allows_the_prefix_itself_and_parts_no_longer_than_said(
    rule: tuple[int, int], net: tuple[int, int], longest: int | None
) -> None:
    whole = IPv4Network((IPv4Address(rule[0]), rule[1]), strict=False)
    asked = IPv4Network((IPv4Address(net[0]), net[1]), strict=False)
    allowed = allows((PrefixRule(str(whole), longest),), str(asked))
    part = asked.subnet_of(whole) and longest is not None and asked.prefixlen <= longest
    assert allowed == (asked == whole or part)
    assert not allows((), str(asked))


def two_ways(near: dict[str, object], far: dict[str, object]) -> str:
    """By whom r0 reaches a prefix of r3 that r1 and r2 tell it; the ways are set on its side."""
    lab = {"r0": speaker("r0", 65001), "r1": speaker("r1", 65002), "r2": speaker("r2", 65003)}
    lab["r3"] = speaker("r3", 65004, PREFIXES[0])
    for middle, own in (("r1", near), ("r2", far)):
        theirs = {"prepend": own.pop("told_prepend", 0)}
        lab = joined(lab, "r0", middle, own, theirs)
        lab = joined(lab, middle, "r3", {}, {})
    return learned(lab)["r0"][PREFIXES[0]]


@pytest.mark.req("V2", "P4")
def test_preference_decides_before_the_length_of_the_path() -> None:
    assert two_ways({"preference": 190}, {"preference": 200}) == "r2"
    assert two_ways({"preference": 190}, {"preference": 200, "told_prepend": 3}) == "r2"


@pytest.mark.req("V2", "P4")
def test_prepending_makes_a_way_less_liked_where_preferences_are_equal() -> None:
    assert two_ways({}, {}) == "r1", "the lowest router id"
    assert two_ways({"told_prepend": 1}, {}) == "r2"


def test_an_as_does_not_take_back_what_it_has_told() -> None:
    lab = {
        "r0": speaker("r0", 65001, PREFIXES[0]),
        "r1": speaker("r1", 65002),
        "r2": speaker("r2", 65001),
    }
    lab = joined(joined(lab, "r0", "r1", {}, {}), "r1", "r2", {}, {})
    assert learned(lab) == {"r0": {}, "r1": {PREFIXES[0]: "r0"}, "r2": {}}


@pytest.mark.req("P4")
def test_reflected_route_reaches_the_other_data_centre_and_no_route_without_a_reflector() -> None:
    def cloud(*, reflects: bool) -> dict[str, dict[str, str]]:
        """Customer r0, peering router r1, its border router r2, the border router r3 of the other centre."""
        lab = {"r0": speaker("r0", 65001, PREFIXES[0])}
        lab |= {name: speaker(name, 64500) for name in ("r1", "r2", "r3")}
        lab = joined(lab, "r0", "r1", {}, {})
        lab = joined(lab, "r1", "r2", {}, {"reflector_client": reflects})
        return learned(joined(lab, "r2", "r3", {}, {}))

    assert cloud(reflects=True)["r3"] == {PREFIXES[0]: "r2"}
    assert cloud(reflects=False)["r3"] == {}
    assert cloud(reflects=False)["r2"] == {PREFIXES[0]: "r1"}


def test_own_route_beats_any_other_and_external_beats_internal() -> None:
    lab = {"r0": speaker("r0", 64500), "r1": speaker("r1", 64500, PREFIXES[0])}
    lab["r2"] = speaker("r2", 65002, PREFIXES[0])
    # Equal preference; the internal path is shorter: length of the AS path comes before that.
    lab = joined(joined(lab, "r0", "r1", {}, {}), "r0", "r2", {}, {})
    assert learned(lab)["r0"] == {PREFIXES[0]: "r1"}
    assert learned(lab)["r1"] == {}


def test_session_that_only_one_side_has_brings_nothing() -> None:
    lab = joined({"r0": speaker("r0", 65001), "r1": speaker("r1", 65002, PREFIXES[0])}, "r0", "r1", {}, {})
    lab["r1"] = replace(lab["r1"], neighbours=())
    assert learned(lab) == {"r0": {}, "r1": {}}


def test_preferences_that_contradict_each_other_are_refused() -> None:
    # RFC 4264's "bad gadget": each of three likes the way by its neighbour better than its own.
    lab = {f"r{n}": speaker(f"r{n}", 65001 + n) for n in range(3)}
    lab["r3"] = speaker("r3", 65004, PREFIXES[0])
    for n in range(3):
        lab = joined(lab, f"r{n}", "r3", {}, {})
    only_direct = {"r0": "r1", "r1": "r2", "r2": "r0"}
    for one, other in only_direct.items():
        lab = joined(lab, one, other, {"preference": 200, "announce": ()}, {})
    with pytest.raises(PlanError, match="does not settle: preferences of routers contradict"):
        converge(lab, owners(lab))


def test_routes_come_in_order_of_prefixes() -> None:
    lab = joined(
        {"r0": speaker("r0", 65001), "r1": speaker("r1", 65002, *reversed(PREFIXES))}, "r0", "r1", {}, {}
    )
    assert converge(lab, owners(lab))["r0"] == tuple(Route(p, "10.1.0.1", 20) for p in PREFIXES)
