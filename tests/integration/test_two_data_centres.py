"""A lab with two data centres: phones turn to the second when the first is lost, and back when it returns."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.integration.labs import UclabCommand, lab_of_module

pytestmark = [pytest.mark.root, pytest.mark.req("V2", "C6")]

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


def registrations(uclab: UclabCommand, since: float, where: str) -> dict[str, float]:
    """Seconds from `since` until each phone had told of its registration there; waits for all of them."""
    file = uclab.folder / "dcs" / "events.jsonl"
    deadline = time.monotonic() + WITHIN_S
    found: dict[str, float] = {}
    while time.monotonic() < deadline and set(found) != PHONES:
        found = {}
        for line in file.read_text().splitlines():
            event: dict[str, Any] = json.loads(line)
            if event["kind"] == "registered" and event["time"] > since and where in event["detail"]:
                found.setdefault(event["source"], event["time"] - since)
        time.sleep(0.05)
    assert set(found) == PHONES, found
    return found


def heard(uclab: UclabCommand, caller: str, callee: str) -> bool:
    call = uclab.json("call", "--name", "dcs", caller, callee, "--seconds", "2")
    return bool(call["forward"]["heard"] and call["backward"]["heard"])


def test_phones_turn_to_the_second_data_centre_and_back(uclab: UclabCommand) -> None:
    # given phones registered at the first data centre
    assert set(registrations(uclab, 0.0, FIRST)) == PHONES
    # when that is lost, then all register at the second within ten seconds, and call by it
    began = time.time()
    uclab("fail", "--name", "dcs", "fra1-br")
    moved = registrations(uclab, began, SECOND)
    assert max(moved.values()) < LIMIT_S, moved
    assert heard(uclab, "desk1", "soft1")
    # when it is back, then they are too, and call by it
    began = time.time()
    uclab("heal", "--name", "dcs", "fra1-br")
    registrations(uclab, began, FIRST)
    assert heard(uclab, "soft1", "desk2")
