"""A site that is allowed, and unusual in everything: TLS 1.3 alone, host names as long as DNS has them, a
phone among PCs, and a line that takes shorter packets than Ethernet and comes and goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.labs import UclabCommand
from uclab.model.domain import MAX_DOMAIN
from uclab.model.load import reference_directory

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

LAB = "unusual"
NUMBER = "+493055501001"
PPPOE = "1492"
"""Bytes that a line with PPPoE carries (RFC 2516 section 7)."""
DOMAIN = ".".join(["a" * 60, "b" * 60, "c" * 60, "d" * (MAX_DOMAIN - 188), "test"])


@pytest.fixture(scope="module")
def uclab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UclabCommand]:
    """The lab, up; its line has the MTU of PPPoE at both ends."""
    command = UclabCommand(tmp_path_factory.mktemp(LAB))
    _write_files(command.folder)
    command("up", "unusual.yaml", "--name", LAB, "--out", str(command.folder / "run"))
    for node, interface in (("edge", "wan1"), ("isp1", "edge")):
        command("exec", "--name", LAB, node, "--", "ip", "link", "set", interface, "mtu", PPPOE)
    yield command
    command("down", "--name", LAB, status=None)


def _write_files(folder: Path) -> None:
    office = (reference_directory() / "small-office.yaml").read_text()
    office = office.replace("topology: small-office", "topology: unusual").replace(
        "policy: ucaas", "policy: strict"
    )
    office = office.replace("domain: ucaas.test", f"domain: {DOMAIN}")
    office = office.replace("number: 201, pc: pc1", "number: 201, pc: pc1, vlan: data")
    policy = (reference_directory() / "policies" / "ucaas.yaml").read_text()
    policy = policy.replace("policy: ucaas", "policy: strict").replace('version: "1.2"', 'version: "1.3"')
    (folder / "policies").mkdir()
    (folder / "policies" / "strict.yaml").write_text(policy)
    (folder / "unusual.yaml").write_text(office)


def registered(uclab: UclabCommand) -> set[str]:
    """Who can be called, as `ls` has it."""
    (state,) = uclab.json("ls")
    return {endpoint["name"] for endpoint in state["endpoints"] if endpoint["registered"]}


def call(uclab: UclabCommand, caller: str, callee: str) -> Any:
    """A short call, at once; its record."""
    done = uclab("call", "--name", LAB, caller, callee, "--seconds", "2", status=None)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.req("C9.1", "C9.4", "E1.1", "E7")
def test_phones_of_both_kinds_register_with_tls_1_3_at_the_longest_name_and_call(uclab: UclabCommand) -> None:
    # given the lab, when it is up, then all are registered, and a desk phone and a softclient hear each other
    assert len(DOMAIN) == MAX_DOMAIN
    assert registered(uclab) == {"desk1", "desk2", "soft1"}
    # and the telephone network is reached, whose addresses are the longest
    for caller, callee in (("desk1", "soft1"), ("desk2", NUMBER), ("pstn", "desk1")):
        status, words = call(uclab, caller, callee)
        assert (status, "NOT" in words) == (0, False), words


@pytest.mark.req("V2", "N1.2", "N2")
def test_behind_a_line_of_pppoe_phones_are_back_in_seconds(
    uclab: UclabCommand,
) -> None:
    # given phones that are registered over a line that takes 1492 bytes
    # when it is cut, then at once nobody counts as registered, and a call is not placed, for a reason
    uclab("fail", "--name", LAB, "edge-isp1")
    assert registered(uclab) == set()
    status, words = call(uclab, "desk1", "desk2")
    assert status != 0
    assert "not placed" in words
    assert "cannot be reached" in words
    # when it is restored, then a call that is placed at once is established
    uclab("heal", "--name", LAB, "edge-isp1")
    began = time.monotonic()
    status, words = call(uclab, "desk1", "desk2")
    assert (status, "NOT" in words) == (0, False), words
    # and the path MTU reached the phones: whole packets of a handshake did not get stuck
    assert time.monotonic() - began < 40
    deadline = time.monotonic() + 30
    while registered(uclab) != {"desk1", "desk2", "soft1"} and time.monotonic() < deadline:
        time.sleep(0.5)
    assert registered(uclab) == {"desk1", "desk2", "soft1"}
