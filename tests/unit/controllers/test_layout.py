"""A plan that does not make a fabric is refused, naming the port and the way out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from controllers.fabric import compile_fabric
from controllers.flows import Purpose
from controllers.reports import MOST_REMEMBERED, Reporter
from controllers.voice_fabric import main
from testbed.fabrics import hierarchy
from uclab.plan.lan.spanning_trees import FabricError
from uclab.plan.schema.codec import to_data
from uclab.plan.schema.plan import SiteFabric, SwitchPort

FABRIC = hierarchy(1, 1, 2)


def changed(switch: str, number: int, **fields: object) -> SiteFabric:
    def ports(all_ports: tuple[SwitchPort, ...]) -> tuple[SwitchPort, ...]:
        return tuple(replace(p, **fields) if p.number == number else p for p in all_ports)  # type: ignore[arg-type]

    switches = tuple(replace(s, ports=ports(s.ports)) if s.name == switch else s for s in FABRIC.switches)
    return replace(FABRIC, switches=switches)


def port(switch: str, number: int) -> SwitchPort:
    return next(p for s in FABRIC.switches if s.name == switch for p in s.ports if p.number == number)


@pytest.mark.parametrize(
    ("fabric", "message"),
    [
        (
            changed("acc1", 1, vlan=99),
            "acc1:1 is in VLAN 99, which is not one of [110, 120, 130] of the site",
        ),
        (
            changed("acc1", 2, allowed=((120, "02:00:00:00:00:aa"),)),
            "acc1:2 allows 02:00:00:00:00:aa in VLAN 120, but carries only [130]",
        ),
        (
            changed("acc2", 1, allowed=port("acc1", 1).allowed),
            "02:00:00:00:00:01 is allowed in VLAN 110 at acc1:1 and at acc2:1; give it to one",
        ),
        (
            changed("acc1", 3, peer_port=1),
            "trunk dist1:2 leads to acc1:3, which does not lead back; set both `peer_port`",
        ),
    ],
)
def test_a_wrong_plan_is_refused_with_the_port_named(fabric: SiteFabric, message: str) -> None:
    with pytest.raises(FabricError) as caught:
        compile_fabric(fabric)
    assert str(caught.value) == message


def test_the_program_ends_with_status_2_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong, events = tmp_path / "fabric.json", tmp_path / "events.jsonl"
    for text, listen, said in (
        (json.dumps(to_data(changed("acc1", 1, vlan=99))), f"unix:{tmp_path}/c", "acc1:1 is in VLAN 99"),
        ("{}", f"unix:{tmp_path}/c", "missing"),
        ("not JSON", f"unix:{tmp_path}/c", "Expecting value"),
    ):
        wrong.write_text(text)
        arguments = ["--fabric", str(wrong), "--listen", listen, "--events", str(events)]
        assert main(arguments) == 2
        assert said in capsys.readouterr().err


def frame(source: str, vlan: int | None) -> bytes:
    tag = b"" if vlan is None else b"\x81\x00" + vlan.to_bytes(2, "big")
    return b"\xff" * 6 + bytes.fromhex(source) + tag + b"\x08\x00" + bytes(40)


@pytest.mark.req("N3.3")
def test_many_dropped_frames_of_one_sender_make_one_event() -> None:
    now = [50.0]
    reporter = Reporter(FABRIC, clock=lambda: now[0])
    bad = frame("02deadbeef01", 120)
    (event,) = reporter.dropped("acc1", 7, Purpose.PORT_SECURITY, bad)
    assert (event.source, event.kind) == ("acc1:7", "port-security-drop")
    assert event.detail == "mac 02:de:ad:be:ef:01 vlan 120 (data)"
    assert list(reporter.dropped("acc1", 7, Purpose.PORT_SECURITY, bad)) == []
    assert len(list(reporter.dropped("acc1", 8, Purpose.PORT_SECURITY, bad))) == 1
    now[0] += 5
    assert len(list(reporter.dropped("acc1", 7, Purpose.PORT_SECURITY, bad))) == 1


def test_untagged_and_broken_frames_are_described_or_passed_over() -> None:
    reporter = Reporter(FABRIC)
    (event,) = reporter.dropped("acc1", 7, Purpose.VLAN_FILTER, frame("02deadbeef01", None))
    assert (event.kind, event.detail) == ("vlan-drop", "mac 02:de:ad:be:ef:01 untagged")
    assert list(reporter.dropped("acc1", 7, Purpose.VLAN_FILTER, b"\x00" * 5)) == []
    assert list(reporter.dropped("acc1", 7, Purpose.FORWARDING, frame("02deadbeef01", None))) == []


def test_ever_new_addresses_do_not_fill_the_memory() -> None:
    reporter = Reporter(FABRIC)
    for number in range(MOST_REMEMBERED + 10):
        list(reporter.dropped("acc1", 7, Purpose.PORT_SECURITY, frame(f"02{number:010x}", None)))
    assert len(reporter._last) <= MOST_REMEMBERED
