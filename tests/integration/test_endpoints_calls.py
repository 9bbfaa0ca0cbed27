"""Real phones call each other over TLS with SRTP, hear each other, and refuse what is not safe.

There is no server between them here: each phone's "registrar" is the other phone, found by DNS and verified
by name; within a call it is spoken to at its address, which its certificate therefore carries, too.
"""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from endpoints_emu.baresip.configuration import Settings
from endpoints_emu.baresip.phone import BaresipPhone
from endpoints_emu.phone import CallFailed, CallLeg, Phone, PhoneEventKind
from tests.integration.cloud_plan import TIMING
from tests.integration.endpoints_authority import Authority
from tests.integration.endpoints_sandbox import DNS_ADDRESS, Sandbox, SandboxNode
from uclab.plan.schema.plan import Account, Endpoint

pytestmark = pytest.mark.root

PORT = 5061
TALK_S = 1.5
SRTP_SUITE = "AES_CM_128_HMAC_SHA1_80"


@dataclass
class Scene:
    """Devices `a`, `b`, `c` with names `a.ucaas.test`, ... and phones on them."""

    sandbox: Sandbox
    folder: Path
    trusted: Authority
    foreign: Authority
    nodes: dict[str, SandboxNode]
    phones: list[Phone] = field(default_factory=list)

    async def phone(
        self,
        name: str,
        peer: str,
        *,
        issuer: Authority | None = None,
        numbers: tuple[str, ...] = (),
        **more: object,
    ) -> Phone:
        """A started phone with the number of its device (or a trunk with many), whose calls all go to
        `peer`."""
        values: dict[str, object] = {
            "name": name,
            "kind": "desk-phone",
            "driver": "baresip",
            "node": name,
            "account": Account(f"100{name}", "ucaas.test", "", name),
            "registrar": f"{peer}.ucaas.test",
            "registrar_port": PORT,
            "transport": "tls",
            "tone_hz": 500 + 200 * "abc".index(name),
            "registration": TIMING,
            "registers": False,
        }
        endpoint = Endpoint(**(values | more))  # type: ignore[arg-type]
        folder = self.folder / name
        folder.mkdir()
        certificate = (issuer or self.trusted).issue(f"{name}.ucaas.test", self.nodes[name].address)
        settings = Settings(
            self.trusted.file, (DNS_ADDRESS,), numbers, listen_port=PORT, certificate=certificate
        )
        phone = BaresipPhone(endpoint, self.nodes[name], folder, settings)
        phone.auto_answer = True
        await phone.start()
        self.phones.append(phone)
        return phone


@asynccontextmanager
async def scene_in(folder: Path) -> AsyncIterator[Scene]:
    addresses = {name: f"10.99.0.{number}" for number, name in enumerate("abc", 1)}
    async with Sandbox(folder, {f"{name}.ucaas.test": at for name, at in addresses.items()}) as sandbox:
        nodes = {name: await sandbox.node(name, at) for name, at in addresses.items()}
        scene = Scene(sandbox, folder, Authority("trusted", folder), Authority("foreign", folder), nodes)
        yield scene
        await asyncio.gather(*(phone.stop() for phone in scene.phones))


def uri(phone: Phone) -> str:
    return f"sip:{phone.endpoint.account.user}@ucaas.test"


async def call(caller: Phone, callee: Phone) -> tuple[CallLeg, CallLeg]:
    """Both legs of an answered call."""
    since = len(callee.events.history)
    leg = await caller.call(uri(callee))
    await caller.established(leg)
    return leg, await callee.incoming(since=since)


@pytest.mark.req("C9.4", "D3", "E1.1", "E7")
async def test_both_sides_of_an_encrypted_call_hear_each_other(tmp_path: Path) -> None:
    # given two phones
    async with scene_in(tmp_path) as scene:
        caller, callee = await scene.phone("a", "b"), await scene.phone("b", "a")
        # when they talk
        leg, other = await call(caller, callee)
        await asyncio.sleep(TALK_S)
        statistics = await caller.statistics(leg)
        await caller.hang_up(leg)
        await asyncio.gather(caller.closed(leg), callee.closed(other))
        # then each heard the other's tone and not its own, both know the call by one name, and media was SRTP
        assert callee.heard(other, caller.endpoint.tone_hz).heard
        assert caller.heard(leg, callee.endpoint.tone_hz).heard
        assert not caller.heard(leg, caller.endpoint.tone_hz).heard
        for phone, one in ((caller, leg), (callee, other)):
            (recording,) = phone.recordings(one)
            with wave.open(str(recording)) as file:  # complete: its header tells its length
                assert file.getnframes() * 2 + 44 == recording.stat().st_size
                assert file.getnframes() / file.getframerate() == pytest.approx(TALK_S, abs=0.6)
        assert leg.sip_call_id == other.sip_call_id
        assert statistics.srtp_suite == SRTP_SUITE
        assert statistics.sent_packets is not None
        assert statistics.received_packets is not None
        assert min(statistics.sent_packets, statistics.received_packets) > 0.6 * TALK_S / 0.02
        established = await caller.established(leg)
        assert established.setup_ms is not None
        assert 0 < established.setup_ms < 5000


async def test_a_held_call_is_told_to_both_sides_and_audible_again_after_it(tmp_path: Path) -> None:
    async with scene_in(tmp_path) as scene:
        caller, callee = await scene.phone("a", "b"), await scene.phone("b", "a")
        leg, other = await call(caller, callee)
        await asyncio.sleep(TALK_S)
        # when the caller holds, three times over, and comes back
        for _ in range(3):
            since = len(callee.events.history)
            await caller.hold(leg)
            await callee.events.first({PhoneEventKind.HELD_BY_PEER}, deadline_s=5, since=since)
            await caller.resume(leg)
            await callee.events.first({PhoneEventKind.RESUMED_BY_PEER}, deadline_s=5, since=since)
        await asyncio.sleep(TALK_S)
        await callee.hang_up(other)
        await asyncio.gather(caller.closed(leg), callee.closed(other))
        # then both heard each other before the first hold and after the last
        for part in (0, -1):
            assert callee.heard(other, caller.endpoint.tone_hz, part=part).heard
            assert caller.heard(leg, callee.endpoint.tone_hz, part=part).heard
        joined = caller.save_recording(leg, tmp_path / "call.wav")
        assert joined.stat().st_size >= sum(part.stat().st_size - 44 for part in caller.recordings(leg))


@pytest.mark.req("C3", "C4")
async def test_a_trunk_hears_each_of_its_calls_apart(tmp_path: Path) -> None:
    # given a trunk with two numbers
    numbers = ("+493055501001", "+493055501002")
    async with scene_in(tmp_path) as scene:
        a, c = await scene.phone("a", "b"), await scene.phone("c", "b")
        trunk = await scene.phone("b", "a", numbers=numbers)
        # when both are called at the same time, and one caller holds for a moment
        first, second = await a.call(numbers[0]), await c.call(numbers[1])
        await asyncio.gather(a.established(first), c.established(second))
        legs = {leg.sip_call_id: leg for leg in trunk.legs()}
        await asyncio.sleep(TALK_S)
        await a.hold(first)
        await a.resume(first)
        await asyncio.sleep(TALK_S)
        await asyncio.gather(a.hang_up(first), c.hang_up(second))
        await asyncio.gather(*(trunk.closed(leg) for leg in legs.values()), a.closed(first), c.closed(second))
        # then each call has its own recordings with its own caller's tone in them
        for phone, leg in ((a, first), (c, second)):
            heard = trunk.heard(legs[leg.sip_call_id], phone.endpoint.tone_hz)
            assert heard.heard, heard
            assert phone.heard(leg, trunk.endpoint.tone_hz).heard
        assert len(trunk.recordings(legs[first.sip_call_id])) == 2
        assert len(trunk.recordings(legs[second.sip_call_id])) == 1


async def test_digits_arrive_as_they_were_dialled(tmp_path: Path) -> None:
    async with scene_in(tmp_path) as scene:
        caller, callee = await scene.phone("a", "b"), await scene.phone("b", "a")
        leg, _ = await call(caller, callee)
        await asyncio.sleep(0.5)
        await caller.dtmf(leg, "18#")
        async with asyncio.timeout(10):
            digits = ""
            async for event in callee.events.follow():
                digits += event.detail if event.kind is PhoneEventKind.DTMF else ""
                if len(digits) == 3:
                    break
        assert digits == "18#"


async def test_a_transferred_party_talks_with_the_target(tmp_path: Path) -> None:
    # given a talking to b; b's calls go to c
    async with scene_in(tmp_path) as scene:
        a = await scene.phone("a", "b")
        b = await scene.phone("b", "c")
        c = await scene.phone("c", "a")
        leg, _ = await call(a, b)
        await asyncio.sleep(0.5)
        # when a transfers b to c
        await a.transfer(leg, uri(c))
        # then a is out, and b and c hear each other
        await a.closed(leg)
        other = await c.incoming()
        await c.established(other)
        await asyncio.sleep(TALK_S)
        (mine,) = [one for one in b.legs() if one.direction == "outgoing"]
        await c.hang_up(other)
        await asyncio.gather(b.closed(mine), c.closed(other))
        assert c.heard(other, b.endpoint.tone_hz).heard
        assert b.heard(mine, c.endpoint.tone_hz).heard


async def test_a_call_that_is_not_taken_says_so(tmp_path: Path) -> None:
    async with scene_in(tmp_path) as scene:
        caller, callee = await scene.phone("a", "b"), await scene.phone("b", "a")
        callee.auto_answer = False
        leg = await caller.call(uri(callee))
        other = await callee.incoming()
        await caller.events.first({PhoneEventKind.RINGING}, leg=leg.id, deadline_s=5)
        await callee.hang_up(other)
        with pytest.raises(CallFailed, match=r"a: call with sip:100b@ucaas.test\S* failed: .*486"):
            await caller.established(leg)


@pytest.mark.req("C9.4")
async def test_a_phone_that_offers_plain_rtp_is_refused(tmp_path: Path) -> None:
    async with scene_in(tmp_path) as scene:
        plain = await scene.phone("a", "b", media_encryption="none")
        callee = await scene.phone("b", "a")
        leg = await plain.call(uri(callee))
        with pytest.raises(CallFailed, match=r"a: call with .* failed: (488|406|606|415)"):
            await plain.established(leg)


@pytest.mark.req("C9.4")
async def test_a_phone_that_answers_without_srtp_is_refused(tmp_path: Path) -> None:
    async with scene_in(tmp_path) as scene:
        caller = await scene.phone("a", "b")
        plain = await scene.phone("b", "a", media_encryption="none")
        leg = await caller.call(uri(plain))
        with pytest.raises(CallFailed, match="a: call with"):
            await caller.established(leg)


@pytest.mark.req("C9.1")
async def test_nobody_is_called_behind_a_foreign_certificate(tmp_path: Path) -> None:
    async with scene_in(tmp_path) as scene:
        caller = await scene.phone("a", "b")
        callee = await scene.phone("b", "a", issuer=scene.foreign)
        leg = await caller.call(uri(callee))
        with pytest.raises(CallFailed, match=r"a: call with .* failed: server's certificate refused"):
            await caller.established(leg)
        assert caller.events.history[-1].record().kind == "tls-refused"
        assert not callee.events.history
