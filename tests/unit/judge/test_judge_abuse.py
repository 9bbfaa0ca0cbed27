"""Who asks too much of a session controller is named; who does not is left alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.frames import Packet
from testbed.made_up_network import reference_plan
from testbed.world import World
from uclab.judge.judging import judge_run
from uclab.judge.measure.connections import Connection, most_at_once
from uclab.judge.result.judgement import Finding
from uclab.plan.wan.internet import WEB

SYN, SYN_ACK, ACK, DATA, RST = 0x02, 0x12, 0x10, 0x18, 0x04
SECOND_NS = 1_000_000_000
TAP = "fra1-sbc:eth0"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Two phones that register and call each other."""
    return World(tmp_path, replace(reference_plan("desk1", "desk2"), bulk=()))


class Attacker:
    """The public web server, at the session controller's tap."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.address = world.plan.node(WEB).interfaces[0].addresses[0].split("/")[0]
        self._macs = (
            world.plan.node("fra1-br").interface("lan").mac,
            world.plan.node("fra1-sbc").interfaces[0].mac,
        )

    def opens(
        self, port: int, at_ns: int, *, speaks: bool, ends_ns: int | None = None, confirms: bool = True
    ) -> None:
        """A connection from a port, which the session controller ends, or which stands at the end."""
        self._packet(port, at_ns, SYN, sequence=port * 1000)
        self._packet(port, at_ns + 1, SYN_ACK, back=True)
        if confirms:
            self._packet(port, at_ns + 2, ACK)
        if speaks:
            self._packet(port, at_ns + 3, DATA, b"\x16\x03\x01\x00\x05hello")
        self._packet(port, at_ns + 3 * SECOND_NS if ends_ns is None else ends_ns, RST, back=True)

    def _packet(
        self, port: int, at_ns: int, flags: int, data: bytes = b"", *, back: bool = False, sequence: int = 1
    ) -> None:
        controller = self._world.controller
        here, there = (self.address, port), (controller.address, controller.tls_ports[0])
        (src, sport), (dst, dport) = (there, here) if back else (here, there)
        macs = tuple(reversed(self._macs)) if back else self._macs
        packet = Packet(macs[0], macs[1], src, dst, sport, dport, data, 0, 6, seq=sequence, flags=flags)
        self._world.put(TAP, at_ns, bytes(packet))


def abuse(world: World) -> dict[str, Finding]:
    """The findings of that family."""
    for name in ("desk1", "desk2"):
        world.connect(name)
        world.register(name)
    world.call("desk1", "desk2", seconds=0.8)
    findings = judge_run(world.write()).findings
    return {finding.id: finding for finding in findings if finding.id.startswith("abuse.")}


@pytest.mark.req("C1.1")
def test_phones_behind_one_address_ask_for_no_more_than_is_theirs(world: World) -> None:
    found = abuse(world)
    assert {finding.verdict for finding in found.values()} == {"pass"}
    assert "2 asked for at once" in found["abuse.connections"].observed


@pytest.mark.req("C1.1")
def test_address_with_too_many_connections_is_named(world: World) -> None:
    # given a host that opens more connections than any address may, and says something on each
    attacker, limits = Attacker(world), world.controller.protection
    assert limits is not None
    for port in range(limits.connections + 1):
        attacker.opens(20000 + port, world.now, speaks=True)
    # then it is named, with its address, and nothing is said of what it did not do
    found = abuse(world)
    assert found["abuse.connections"].verdict == "fail"
    assert found["abuse.connections"].blame == WEB
    assert attacker.address in found["abuse.connections"].observed
    assert found["abuse.half-open"].verdict == "pass"


@pytest.mark.req("C1.1")
def test_as_many_connections_as_are_an_addresss_are_no_attack(world: World) -> None:
    attacker, limits = Attacker(world), world.controller.protection
    assert limits is not None
    for port in range(limits.connections):
        attacker.opens(20000 + port, world.now, speaks=True)
    # nor are many more, one after the other, from the same port
    for turn in range(100):
        begin = world.now + (4 + turn) * SECOND_NS
        attacker.opens(20000, begin, speaks=True, ends_ns=begin + 10)
    assert abuse(world)["abuse.connections"].verdict == "pass"


@pytest.mark.req("C1.1")
def test_address_with_too_many_silent_connections_is_named(world: World) -> None:
    attacker, limits = Attacker(world), world.controller.protection
    assert limits is not None
    for port in range(limits.silent + 1):
        attacker.opens(20000 + port, world.now, speaks=False)
    found = abuse(world)
    assert (found["abuse.half-open"].verdict, found["abuse.half-open"].blame) == ("fail", WEB)
    assert f"{limits.silent + 1} silent at once from {attacker.address}" in found["abuse.half-open"].observed


@pytest.mark.req("C1.1", "V2")
def test_whom_no_answer_reaches_is_no_attacker(world: World) -> None:
    # given a site that asks for connections again and again, and whose answers take another way
    attacker, limits = Attacker(world), world.controller.protection
    assert limits is not None
    for port in range(limits.silent + 1):
        attacker.opens(20000 + port, world.now, speaks=False, confirms=False)
    # then none of them stands, so none is silent
    assert abuse(world)["abuse.half-open"].verdict == "pass"


def refused(world: World, times: int) -> Iterator[str]:
    user = world.talker("desk1").endpoint.account.user
    for number in range(times):
        head = (
            f"From: <sip:{user}@ucaas.test>;tag=1\r\nTo: <sip:{user}@ucaas.test>\r\nCall-ID: g-{number}\r\n"
        )
        yield f"SIP/2.0 403 Forbidden\r\n{head}CSeq: 2 REGISTER\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.req("C1.1")
@pytest.mark.parametrize(("less", "verdict"), [(1, "pass"), (0, "fail")])
def test_address_that_shows_too_many_wrong_passwords_is_named(world: World, less: int, verdict: str) -> None:
    # given a phone that is told so often that its password is wrong
    limits = world.controller.protection
    assert limits is not None
    world.connect("desk1")
    for answer in refused(world, limits.failed_guesses - less):
        world.sip("desk1", False, answer)
    findings = {f.id: f for f in judge_run(world.write()).findings if f.id.startswith("abuse.")}
    assert findings["abuse.passwords"].verdict == verdict
    assert findings["abuse.passwords"].blame == ("edge" if verdict == "fail" else None)


@pytest.mark.req("C1.1")
def test_address_that_tries_one_password_for_many_accounts_is_named(world: World) -> None:
    # given as many refusals as the address may have altogether, each for another account
    limits = world.controller.protection
    assert limits is not None
    world.connect("desk1")
    for number in range(100, 100 + limits.guesses):
        ends = f"From: <sip:{number}@ucaas.test>;tag=1\r\nTo: <sip:{number}@ucaas.test>\r\n"
        head = f"{ends}Call-ID: g-{number}\r\nCSeq: 2 REGISTER\r\nContent-Length: 0\r\n\r\n"
        answer = f"SIP/2.0 403 Forbidden\r\n{head}"
        world.sip("desk1", False, answer)
    findings = {f.id: f for f in judge_run(world.write()).findings if f.id.startswith("abuse.")}
    assert findings["abuse.passwords"].verdict == "fail"
    assert f"{limits.guesses} for several accounts" in findings["abuse.passwords"].observed


def test_stretches_of_time_that_touch_do_not_overlap() -> None:
    assert most_at_once([(0, 5), (5, 9), (3, 4)]) == 2
    assert most_at_once([]) == 0


def test_who_speaks_late_was_silent_until_then() -> None:
    connection = Connection(1, 2, 3, 0, 9 * SECOND_NS, 1, confirmed_ns=0, spoken_ns=4 * SECOND_NS)
    assert connection.silence == (SECOND_NS, 4 * SECOND_NS)
    assert replace(connection, spoken_ns=1000).silence is None
