"""Which routers watch their lines, by asking whom, and how long a line must be good before it is used."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from testbed.plans import shipped_plan
from uclab.model.load import load_topology, reference_directory, reference_topologies
from uclab.plan.faults.catalogue import FAULTS
from uclab.plan.planner import make_plan
from uclab.plan.schema.plan import LineWatch, Plan, WatchedLine

pytestmark = pytest.mark.req("N5", "V2")


@cache
def plan(name: str) -> Plan:
    return shipped_plan(name)


def changed(folder: Path, old: str, new: str, name: str = "smb-dual-wan") -> Plan:
    """A reference topology with other words in it."""
    text = (reference_directory() / f"{name}.yaml").read_text()
    assert old in text
    (folder / "mine.yaml").write_text(text.replace(old, new))
    return make_plan(load_topology(folder / "mine.yaml"))


def test_a_router_with_two_lines_to_providers_asks_public_servers_by_both() -> None:
    dual = plan("smb-dual-wan")
    assert dual.line_watches == (
        LineWatch(
            router="edge",
            lines=(WatchedLine("wan1", "203.0.113.1", 0), WatchedLine("wan2", "203.0.113.65", 100)),
            targets=("198.19.0.2", "198.19.0.6"),
            dscp=48,
            interval_ms=150,
            lost_after=4,
            return_after_s=3,
        ),
    )
    own = {
        address.split("/")[0]
        for n in ("dns", "web")
        for i in dual.node(n).interfaces
        for address in i.addresses
    }
    assert set(dual.line_watches[0].targets) == own
    # its questions wait where signalling waits, not behind an overload
    (queue,) = (q for q in dual.node("edge").queues if q.interface == "wan1")
    assert [c.name for c in queue.classes if 48 in c.dscps] == ["signalling"]


@pytest.mark.parametrize("name", sorted(set(reference_topologies()) - {"smb-dual-wan"}))
def test_others_have_nothing_to_choose_or_have_somebody_who_does(name: str) -> None:
    assert plan(name).line_watches == ()


def test_the_file_says_how_soon_and_how_long(tmp_path: Path) -> None:
    figures = "{interval_ms: 1000, lost_after: 3, return_after_s: 30}"
    (watch,) = changed(
        tmp_path, "router: {name: edge}", f"router: {{name: edge, line_watch: {figures}}}"
    ).line_watches
    assert (watch.interval_ms, watch.lost_after, watch.return_after_s) == (1000, 3, 30)


def test_a_router_can_be_one_that_does_not_watch(tmp_path: Path) -> None:
    plain = changed(tmp_path, "router: {name: edge}", "router: {name: edge, line_watch: null}")
    assert plain.line_watches == ()


def test_a_hasty_router_does_not_wait() -> None:
    hasty = FAULTS["failback-flaps"].apply(plan("smb-dual-wan"), "edge")
    assert [watch.return_after_s for watch in hasty.line_watches] == [0]
    with pytest.raises(KeyError, match="router that watches its lines"):
        FAULTS["failback-flaps"].apply(plan("small-office"), None)
