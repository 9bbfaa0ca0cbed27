"""A lab with two data centres: phones turn to the second when the first is lost, and back when it returns."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from tests.integration.labs import UclabCommand, lab_of_module

pytestmark = [pytest.mark.root, pytest.mark.quiet, pytest.mark.req("V2", "C6.2")]

TOPOLOGY = """
topology: two-dcs
title: One site on the internet, two data centres of a region
policy: ucaas
cloud:
  domain: ucaas.test
  regions:
    - name: eu
      datacentres:
        - {name: fra1, prefix: 198.18.10.0/24}
        - {name: fra2, prefix: 198.18.11.0/24}
  pstn: {numbers: ["+493055501001"]}
internet:
  providers: [{name: isp1, prefix: 203.0.113.0/26}]
sites:
  - name: shop
    prefix: 192.168.16.0/20
    vlans:
      - {name: voice, id: 10, role: voice, subnet: 192.168.16.0/26}
      - {name: data, id: 20, role: data, subnet: 192.168.17.0/24}
    switches: [{name: sw1, role: access, ports: 8, poe_watts: 65}]
    firewall: {name: fw, uplinks: [sw1]}
    router: {name: edge}
    connections: [{name: wan1, to: isp1, profile: business-internet-10}]
    endpoints:
      - {name: desk1, kind: desk-phone, port: sw1/1, number: 201, pc: pc1}
      - {name: desk2, kind: desk-phone, port: sw1/2, number: 202}
      - {name: soft1, kind: softclient, port: sw1/5, number: 203}
"""
PHONES = {"desk1", "desk2", "soft1"}
FIRST, SECOND = "(sip.ucaas.test)", "(sip-fra2.ucaas.test)"
LIMIT_S = 10.0
WITHIN_S = 40.0


uclab = lab_of_module("two-dcs.yaml", "dcs", {"two-dcs.yaml": TOPOLOGY})


def registrations(
    uclab: UclabCommand, since: float, where: str, phones: set[str] = PHONES
) -> dict[str, float]:
    """Seconds from `since` until each of these phones had told of its registration there; waits for all."""
    file = uclab.folder / "dcs" / "events.jsonl"
    deadline = time.monotonic() + WITHIN_S
    found: dict[str, float] = {}
    while time.monotonic() < deadline and not phones <= set(found):
        found = {}
        for line in file.read_text().splitlines():
            event: dict[str, Any] = json.loads(line)
            if event["kind"] == "registered" and event["time"] > since and where in event["detail"]:
                found.setdefault(event["source"], event["time"] - since)
        time.sleep(0.05)
    assert phones <= set(found), found
    return found


def messages_to(phone: str, uclab: UclabCommand, since: float, count: int) -> list[str]:
    """The texts that a phone has told of, in order; waits for so many."""
    file = uclab.folder / "dcs" / "events.jsonl"
    deadline = time.monotonic() + WITHIN_S
    found: list[str] = []
    while time.monotonic() < deadline and len(found) < count:
        events = [json.loads(line) for line in file.read_text().splitlines()]
        own = [event for event in events if event["source"] == phone and event["time"] > since]
        found = [event["detail"] for event in own if event["kind"] == "message-received"]
        time.sleep(0.05)
    return found


def heard(uclab: UclabCommand, caller: str, callee: str) -> bool:
    call = uclab.json("call", "--name", "dcs", caller, callee, "--seconds", "2")
    return bool(call["caller_to_callee"]["heard"] and call["callee_to_caller"]["heard"])


def test_phones_turn_to_the_second_data_centre_and_back(uclab: UclabCommand) -> None:
    # given phones registered at the first data centre
    assert set(registrations(uclab, 0.0, FIRST)) == PHONES
    # when that is lost, then all register at the second within ten seconds, and call by it
    uclab("fail", "--name", "dcs", "fra1-br")
    began = float(uclab.wait_for_event("dcs", "failed-on-purpose", source="fra1-br")["time"])
    moved = registrations(uclab, began, SECOND)
    assert max(moved.values()) < LIMIT_S, moved
    assert heard(uclab, "desk1", "soft1")
    # when it is back, then they are too, and call by it
    began = time.time()
    uclab("heal", "--name", "dcs", "fra1-br")
    registrations(uclab, began, FIRST)
    assert heard(uclab, "soft1", "desk2")


@pytest.mark.req("C1.4", "C6.3", "C9.2", "C9.4")
def test_calls_and_messages_are_proved_encrypted_on_their_way_from_one_data_centre_to_the_other(
    uclab: UclabCommand,
) -> None:
    # given a phone that cannot reach the first data centre, and is registered at the second
    began = time.time()
    rules = "add table ip away; add chain ip away out { type filter hook output priority 0; }; "
    rules += "add rule ip away out ip daddr 198.18.10.0/24 drop"
    uclab("exec", "desk1", "--name", "dcs", "--", "nft", rules)
    registrations(uclab, began, SECOND, {"desk1"})
    # when it is in a call with one that is registered at the first
    assert heard(uclab, "desk1", "desk2")
    # and they write to each other
    for sender, recipient in (("desk1", "desk2"), ("desk2", "desk1")):
        sent = uclab.json("message", "--name", "dcs", sender, recipient, "--count", "2")
        assert [message["status"] for message in sent] == [200, 200]
    # and what is written to one while its line is cut waits for it at the other's data centre
    began = time.time()
    uclab("fail", "--name", "dcs", "desk1")
    sent = uclab.json("message", "--name", "dcs", "desk2", "desk1", "--count", "3")
    assert [message["status"] for message in sent] == [202, 202, 202]
    uclab("heal", "--name", "dcs", "desk1")
    assert messages_to("desk1", uclab, began, 3) == [message["text"] for message in sent]
    uclab("down", "--name", "dcs")
    # then the packets authenticate on every leg, that between the data centres included
    uclab("judge", str(uclab.folder / "dcs"), status=None)
    findings = json.loads((uclab.folder / "dcs" / "results.json").read_text())["findings"]
    shown = [f for f in findings if f["id"] == "media.srtp" and f["subject"].startswith("desk1-desk2")]
    assert [finding["verdict"] for finding in shown] == ["pass", "pass"]
    for finding in shown:
        assert {"fra1-sbc:eth0", "fra2-sbc:eth0"} <= set(re.findall(r"[\w-]+:eth0", finding["observed"]))
    # and each message arrived once, and could be read nowhere
    written = [(f["id"], f["verdict"]) for f in findings if f["id"].startswith("message.")]
    assert set(written) == {(f"message.{kind}", "pass") for kind in ("delivered", "private", "receipt")}
    assert len(written) == 3 + 3 + 1  # only those that waited have receipts
