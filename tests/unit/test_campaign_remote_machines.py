"""Load generators on other machines: their place in the plan, their folders, and what is known of them."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from campaigns.remote_records import Ledger
from testbed.plans import shipped_plan
from tests.unit.command_line import uclab
from uclab.campaign import generator, remote_machines
from uclab.campaign.generator import read_network_config
from uclab.campaign.refused import OrderRefused
from uclab.campaign.running import order_of, write_pools
from uclab.emulation.mininet import nic_passthrough
from uclab.emulation.mininet.nic_passthrough import CardState, refusal
from uclab.judge.evidence.network import PlannedNetwork
from uclab.plan.load.load_placement import LoadPlan, as_judged, with_load
from uclab.plan.load.record import Pool
from uclab.plan.load.remote_generators import RemoteGenerator, moved, with_remote_generators
from uclab.plan.schema.codec import from_data, plan_from_json, plan_to_json
from uclab.plan.schema.errors import PlanError
from uclab.records.remote_generators import RemoteGeneratorStatus, trouble

pytestmark = pytest.mark.req("D11")
ORDER: Mapping[str, Any] = {"users": 4, "spawn_rate": 4, "duration_s": 5, "workers": 2, "web": False}


@cache
def load_plan() -> LoadPlan:
    return with_load(shipped_plan("small-office"), 4, 2)


def one_moved() -> tuple[LoadPlan, RemoteGenerator]:
    left, (gone,) = moved(load_plan(), {"load2": "eth1"})
    return left, gone


def test_the_access_port_of_a_generator_elsewhere_is_a_network_card() -> None:
    left, gone = one_moved()
    plan, before = left.plan, load_plan().plan
    # given a generator elsewhere, then the lab has neither it nor a cable to it
    assert {node.name for node in before.nodes} - {node.name for node in plan.nodes} == {"load2"}
    assert not [link for link in plan.links if "load2" in (link.a.device, link.b.device)]
    assert [interface.name for interface in plan.node(left.leader).interfaces] == ["mgmt1"]
    # and its port is as before, with the same rules, at the network card
    old = {port.peer: port for switch in before.switches for port in switch.ports}["load2"]
    new = {port.peer: port for switch in plan.switches for port in switch.ports}["load2"]
    assert new == replace(old, interface="eth1")
    assert any(new in switch.ports for fabric in plan.fabrics for switch in fabric.switches)
    assert (gone.card.port, gone.card.interface) == (new.number, "eth1")
    assert new.allowed == ((new.vlan, gone.node.interface("eth0").mac),)
    # and it is captured there, twice: as the port, and in place of the generator's own tap
    engine = next(switch.engine for switch in plan.switches if switch.name == gone.card.switch)
    taps = {tap.label: (tap.namespace, tap.interface) for tap in plan.taps}
    assert taps["load2:eth0"] == taps[f"{gone.card.switch}:{new.number}"] == (engine, "eth1")
    assert plan_from_json(plan_to_json(plan)) == plan


def test_the_judge_sees_a_generator_elsewhere_as_one_here() -> None:
    left, gone = one_moved()
    plan = with_remote_generators(as_judged(left), [gone])
    network = PlannedNetwork(plan)
    here = PlannedNetwork(as_judged(load_plan()))
    tap = network.first_tap["load2"]
    assert tap == here.first_tap["load2"]
    assert network.mac_at(network.taps[tap]) == here.mac_at(here.taps[tap]) > 0
    assert f"{gone.card.switch}:{gone.card.port}" in network.ports
    assert {tap.label for tap in plan.taps} == {tap.label for tap in load_plan().plan.taps}


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"load9": "eth1"}, "no load generator `load9`; with 2 there are: load1, load2"),
        ({"load1": "eth1", "load2": "eth1"}, "eth1 cannot lead to two load generators"),
        ({"load2": "sw1"}, "sw1 is also the name of a port or switch"),
    ],
)
def test_a_generator_that_cannot_be_elsewhere_is_refused(wanted: dict[str, str], words: str) -> None:
    with pytest.raises(PlanError, match=words):
        moved(load_plan(), wanted)


def test_a_folder_has_all_that_the_other_machine_needs(tmp_path: Path) -> None:
    # given a lab with its authority
    left, gone = one_moved()
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki" / "ca.pem").write_text("authority")
    folder = tmp_path / "campaign"
    folder.mkdir()
    order = order_of("busy-hour", **ORDER, remote=["load2=eth1"], listen="127.0.0.1")
    # when the pools are written
    authority = tmp_path / "pki" / "ca.pem"
    write_pools(left, tmp_path, folder, but=order.remote)
    remote_machines.write_folders(left, [gone], order, authority, folder)
    # then the one elsewhere has a folder for root alone, whose paths hold wherever it is carried
    own = folder / "load2"
    assert own.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in own.iterdir()} == {"pool.json", "network.json", "locustfile.py", "ca.pem"}
    assert {path.stat().st_mode & 0o777 for path in own.iterdir()} == {0o600}
    pool = from_data(Pool, json.loads((own / "pool.json").read_text()))
    assert (pool.ca_file, pool.records) == ("ca.pem", "load2")
    assert len(pool.users) == 2
    config = read_network_config(own)
    assert config.mac == gone.node.interface("eth0").mac
    assert {address.partition("/")[0] for address in config.addresses} == {
        user.address for user in pool.users
    }
    assert [route.prefix for route in config.routes] == ["0.0.0.0/0"]
    assert config.nameservers
    assert (folder / "load1.json").exists()


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (None, "no network interface `eth1`"),
        (CardState(loopback=True), "loopback"),
        (CardState(addresses=("10.0.0.1/24",), routes=("default",)), "cut the machine off"),
        (CardState(addresses=("10.0.0.1/24",)), "has the address 10.0.0.1/24"),
        (CardState(routes=("10.1.0.0/16",)), "leads to 10.1.0.0/16"),
        (CardState(master="br0"), "part of `br0`"),
    ],
)
def test_a_network_card_in_use_is_not_lent(state: CardState | None, words: str) -> None:
    assert words in str(refusal("eth1", state))


def test_a_free_network_card_is_lent() -> None:
    assert refusal("eth1", CardState()) is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--remote", "load2"], "expected GENERATOR=INTERFACE"),
        (["--remote", "load2=a", "--remote", "load2=b"], "`load2` is given twice"),
        (["--remote", "load1=nosuch0"], "name this machine's address for them with --listen"),
        (["--listen", "127.0.0.1"], "name one with --remote"),
        (["--remote", "load1=nosuch0", "--listen", "127.0.0.1"], "no network interface `nosuch0`"),
        (["--remote", "load1=lo", "--listen", "127.0.0.1"], "loopback"),
        (["--remote", "load7=nosuch0", "--listen", "127.0.0.1"], "no load generator `load7`"),
    ],
)
def test_a_wrong_order_ends_with_2_and_starts_nothing(
    arguments: list[str], words: str, tmp_path: Path
) -> None:
    done = uclab(
        "campaign", "small-office", *arguments, "--out", str(tmp_path / "out"), state=tmp_path / "labs"
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_an_address_of_another_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nic_passthrough, "look", lambda name: CardState())
    order = order_of("busy-hour", **ORDER, remote=["load2=eth1"], listen="192.0.2.77")
    with pytest.raises(OrderRefused, match=r"--listen 192\.0\.2\.77: no address of this machine"):
        remote_machines.check(order)


def test_a_port_that_is_taken_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nic_passthrough, "look", lambda name: CardState())
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        monkeypatch.setattr(remote_machines, "LEADER_PORT", other.getsockname()[1])
        order = order_of("busy-hour", **ORDER, remote=["load2=eth1"], listen="127.0.0.1")
        with pytest.raises(OrderRefused, match="Address already in use"):
            remote_machines.check(order)


@pytest.mark.parametrize("what", ["nothing", "half", "wrong"])
def test_a_folder_that_is_none_is_refused(what: str, tmp_path: Path) -> None:
    folder = tmp_path / "load2"
    if what != "nothing":
        folder.mkdir()
        (folder / "network.json").write_text("{}")
    if what == "wrong":
        for name in ("pool.json", "locustfile.py", "ca.pem"):
            (folder / name).write_text("{}")
    done = uclab("generator", str(folder), "--interface", "eth1", "--leader", "192.0.2.1")
    assert done.returncode == 2
    words = "made by another version" if what == "wrong" else "is no load generator's folder: it has no"
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


WHOLE = RemoteGeneratorStatus("load2", left=True, legs=3, accounts=2)


@pytest.mark.parametrize(
    ("told", "came", "words"),
    [
        (WHOLE, {"legs": 3, "accounts": 2}, ""),
        (None, {}, "never connected"),
        (replace(WHOLE, left=False), {"legs": 1, "accounts": 2}, "1 of calls and 2 of registrations"),
        (replace(WHOLE, early=True), {"legs": 3, "accounts": 2}, "left before the campaign's end"),
        (WHOLE, {"legs": 2, "accounts": 2}, "wrote more records than arrived: 3 of calls"),
    ],
)
def test_records_that_are_missing_are_said_to_be(
    told: RemoteGeneratorStatus | None, came: dict[str, int], words: str
) -> None:
    said = trouble(told, came)
    assert words in said
    assert bool(words) == bool(said)


def test_what_a_generator_elsewhere_tells_is_kept_as_if_it_were_here(tmp_path: Path) -> None:
    # given a generator whose clock is three seconds ahead
    ledger = Ledger(tmp_path, ["load2"])
    assert not remote_machines.begun([one_moved()[1]], tmp_path)
    ledger.clock({"generator": "load2", "asked": 100.0, "here": 103.5}, now=101.0)
    ledger.clock({"generator": "load2", "asked": 102.0, "here": 105.1}, now=102.2)
    ledger.clock({"generator": "load2", "asked": 103.0, "here": 109.0}, now=105.0)
    # when it tells of a call, and one that nobody awaits does, too
    leg = {"user": "700001", "started_at": 110.0, "answered_at": 111.0, "ended_at": None}
    for name in ("load2", "../load9"):
        ledger.record({"generator": name, "kind": "legs", "record": leg})
        ledger.record({"generator": name, "kind": "../legs", "record": leg})
    assert remote_machines.begun([one_moved()[1]], tmp_path)
    # then the call is there at the time that it had here, by the comparison that was quickest
    assert {path.name for path in tmp_path.iterdir()} == {"load2.legs.jsonl", "load2.told.json"}
    (line,) = (tmp_path / "load2.legs.jsonl").read_text().splitlines()
    assert json.loads(line) == {**leg, "started_at": 107.0, "answered_at": 108.0}
    # and until it signs off it counts as lost
    assert "was lost" in remote_machines.ended("load2", tmp_path).trouble
    ledger.ending = True
    ledger.farewell({"generator": "load2", "legs": 1, "accounts": 0})
    assert remote_machines.ended("load2", tmp_path).trouble == ""
    # and one more record than came is missed
    ledger.farewell({"generator": "load2", "legs": 2, "accounts": 0})
    assert "wrote more records" in remote_machines.ended("load2", tmp_path).trouble
    assert remote_machines.ended("load3", tmp_path).trouble == "never connected"


def test_who_leaves_before_the_end_has_left_early(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, ["load2"])
    ledger.farewell({"generator": "load2", "legs": 0, "accounts": 0})
    ledger.ending = True
    ledger.farewell({"generator": "load2", "legs": 1, "accounts": 0})
    assert remote_machines.ended("load2", tmp_path).trouble == "left before the campaign's end"


def test_a_leader_that_is_gone_for_long_ends_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a worker whose leader nobody reaches
    now = [0.0]
    monkeypatch.setattr(generator, "time", SimpleNamespace(monotonic=lambda: now[0]))
    ended: list[float] = []
    process = SimpleNamespace(terminate=lambda: ended.append(now[0]))
    worker: Any = SimpleNamespace(process=process)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        watch = generator.LeaderWatch("127.0.0.1", closed.getsockname()[1])
        while now[0] < 200 and not ended:
            watch.look(worker)
            now[0] += 1
    # then it ends after about a minute
    assert 60 < ended[0] < 75
