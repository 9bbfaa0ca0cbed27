"""What phones and cloud do when ways and data centres are lost.

`python -m tests.integration.failover_scene FOLDER` in a sandbox writes what happened to
`FOLDER/observations.json`, and judges nothing: the tests do.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from cloud_core.authority import issue
from cloud_core.containers import SERVICE_ID, Podman
from cloud_core.services import RunningCloud, start_cloud
from endpoints_emu.factory import make_phone, make_trunk_phone
from endpoints_emu.phone import CallLeg, Phone, PhoneError, PhoneEventKind
from tests.integration import failover_network as network
from tests.integration.cloud_plan import ACCOUNTS, HOST, PSTN_PEER
from tests.integration.cloud_sandbox import DNS, MEDIA
from uclab.plan.schema.plan import Endpoint

WITHIN_S = 30.0
"""How long to wait for what should come: longer than what the tests allow."""
TALK_S = 1.5


class Call:
    """A call that stands, and how many packets each side has received."""

    def __init__(self, caller: Phone, callee: Phone, legs: tuple[CallLeg, CallLeg]) -> None:
        self.caller, self.callee, self.legs = caller, callee, legs

    @classmethod
    async def place(cls, caller: Phone, callee: Phone, number: str) -> Call:
        since = len(callee.events.history)
        leg = await caller.call(number)
        await caller.established(leg)
        return cls(caller, callee, (leg, await callee.incoming(since=since)))

    async def received(self) -> tuple[int, int]:
        mine = await self.caller.statistics(self.legs[0])
        other = await self.callee.statistics(self.legs[1])
        return mine.received_packets or 0, other.received_packets or 0

    async def flowing(self) -> list[int]:
        """Packets that the caller and the callee receive in a second."""
        before = await self.received()
        await asyncio.sleep(1.0)
        after = await self.received()
        return [after[0] - before[0], after[1] - before[1]]

    async def answered(self, phone: Phone) -> str:
        """What came of holding and resuming the other side: requests within the call."""
        leg = self.legs[0] if phone is self.caller else self.legs[1]
        try:
            await phone.hold(leg)
            await phone.resume(leg)
        except PhoneError as error:
            return str(error)
        return "answered"

    async def end(self, phone: Phone) -> str:
        """Hang up at one side: whether the other side learns of it."""
        own, other = self.legs if phone is self.caller else self.legs[::-1]
        far = self.callee if phone is self.caller else self.caller
        await phone.hang_up(own)
        try:
            return (await far.closed(other)).kind.value
        except PhoneError as error:
            return str(error)


class Scene:
    """Both data centres, the telephone network, and the site's phones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nodes = network.build_network()
        self.plan = network.two_data_centres()
        self.certificates = issue(self.plan.certificates, folder / "pki", group=SERVICE_ID)
        self.seen: dict[str, Any] = {}
        self.phones: dict[str, Phone] = {}
        self.cloud: RunningCloud | None = None

    async def start(self) -> None:
        podman = Podman(Path("/run/containers-of-lab"))
        self.cloud = await start_cloud(self.plan, self.nodes, self.folder / "run", podman, self.certificates)
        own = self.certificates.issued[PSTN_PEER.certificate].combined
        trunk = make_trunk_phone(
            PSTN_PEER,
            self.cloud.pstn[PSTN_PEER.name],
            self.folder / "run/endpoints/pstn",
            self.certificates.trusted,
            own,
        )
        trunk.auto_answer = True
        await trunk.start()
        self.phones["pstn"] = trunk
        await asyncio.gather(*(self.add(e) for e in (network.DESK1, network.DESK2, network.SOFT1)))

    async def add(self, endpoint: Endpoint) -> Phone:
        """A phone, registered."""
        folder = self.folder / f"run/endpoints/{endpoint.name}-{len(self.phones)}"
        phone = make_phone(endpoint, self.nodes[endpoint.node], folder, self.certificates.trusted)
        phone.auto_answer = True
        await phone.start()
        await phone.register()
        self.phones[endpoint.name] = phone
        return phone

    async def stop(self) -> None:
        await asyncio.gather(*(phone.stop() for phone in self.phones.values()))
        assert self.cloud
        await self.cloud.stop()

    def marks(self) -> dict[str, int]:
        """How many events each registering phone has told so far."""
        return {n: len(p.events.history) for n, p in self.phones.items() if p.endpoint.registers}

    async def times(
        self, began: float, marks: dict[str, int], kind: PhoneEventKind, where: str = ""
    ) -> dict[str, float | None]:
        """Seconds from `began` until each phone has told such an event (of that registrar)."""

        async def first(name: str) -> float | None:
            try:
                async with asyncio.timeout(WITHIN_S):
                    async for event in self.phones[name].events.follow(marks[name]):
                        if event.kind is kind and where in event.detail:
                            return round(event.time - began, 2)
            except TimeoutError:
                pass
            return None

        found = await asyncio.gather(*(first(name) for name in marks))
        return dict(zip(marks, found, strict=True))


def relay_ports() -> list[int]:
    """UDP ports at which the first media relay waits for packets."""
    argv = ("ip", "netns", "exec", "sbc", "ss", "-Hlnu", "src", MEDIA)
    output = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    return [int(line.split()[3].rpartition(":")[2]) for line in output.splitlines()]


async def look_at_forged_media(scene: Scene, call: Call) -> None:
    """Somebody without the keys sends to the relay's ports what looks like the call's media."""
    forger = scene.nodes["dns"].udp_socket()
    forger.bind((DNS, 40000))
    forger.setblocking(False)
    ports = relay_ports()

    async def forge() -> None:
        for number in range(50):
            for port in ports:
                forger.sendto(bytes((0x80, 0, 0, number)) + bytes(178), (MEDIA, port))
            await asyncio.sleep(0.02)

    flowing, _ = await asyncio.gather(call.flowing(), forge())
    after = await call.flowing()
    stolen = 0
    while True:
        try:
            forger.recv(2048)
        except BlockingIOError:
            break
        stolen += 1
    forger.close()
    scene.seen["forged"] = {"ports": len(ports), "stolen": stolen, "flowing": flowing, "after": after}


async def look_at_other_line(scene: Scene) -> None:
    """The line is cut while calls stand: to the telephone network, and between two phones of the site."""
    phones = scene.phones
    out = await Call.place(phones["desk1"], phones["pstn"], PSTN_PEER.numbers[0])
    between = await Call.place(phones["soft1"], phones["desk2"], "1002")
    # the relay has learnt both sides' addresses by now, and would not look at them again by itself
    await asyncio.sleep(4.0)
    await look_at_forged_media(scene, out)
    marks, began = scene.marks(), time.time()
    network.cut_first_line()
    seen: dict[str, Any] = {"before": await out.flowing()}
    seen["lost_s"] = await scene.times(began, marks, PhoneEventKind.FLOW_FAILED)
    seen["registered_s"] = await scene.times(began, marks, PhoneEventKind.REGISTERED)
    seen["flowing"] = {"out": await out.flowing(), "between": await between.flowing()}
    seen["asked by pstn"] = await out.answered(phones["pstn"])
    seen["asked by desk1"] = await out.answered(phones["desk1"])
    seen["asked by desk2"] = await between.answered(phones["desk2"])
    seen["asked by soft1"] = await between.answered(phones["soft1"])
    seen["new call"] = await heard(phones["pstn"], phones["desk2"], ACCOUNTS[1].e164 or "", busy=between)
    seen["ended"] = await out.end(phones["pstn"])
    scene.seen["other line"] = seen
    marks, began = scene.marks(), time.time()
    network.mend_first_line()
    scene.seen["line restored"] = {"registered_s": await scene.times(began, marks, PhoneEventKind.REGISTERED)}


async def heard(caller: Phone, callee: Phone, number: str, busy: Call | None = None) -> list[bool]:
    """A call of its own: whether the caller heard the callee, and the callee the caller."""
    if busy:
        await busy.end(busy.callee)
    call = await Call.place(caller, callee, number)
    await asyncio.sleep(TALK_S)
    ended = await call.end(callee)
    assert ended == PhoneEventKind.CLOSED.value, ended
    await caller.closed(call.legs[0])
    await callee.closed(call.legs[1])
    return [
        caller.heard(call.legs[0], callee.endpoint.tone_hz).heard,
        callee.heard(call.legs[1], caller.endpoint.tone_hz).heard,
    ]


async def look_at_lost_data_centre(scene: Scene) -> None:
    """The first data centre falls silent, and comes back during a call by the second."""
    phones = scene.phones
    marks, began = scene.marks(), time.time()
    network.silence("sbc")
    seen: dict[str, Any] = {
        "registered_s": await scene.times(began, marks, PhoneEventKind.REGISTERED, network.HOST2)
    }
    seen["calls"] = {
        "desk to desk": await heard(phones["desk1"], phones["desk2"], "1002"),
        "soft to pstn": await heard(phones["soft1"], phones["pstn"], PSTN_PEER.numbers[1]),
    }
    call = await Call.place(phones["desk1"], phones["soft1"], "1003")
    marks, began = scene.marks(), time.time()
    network.unsilence("sbc")
    seen["back_s"] = await scene.times(began, marks, PhoneEventKind.REGISTERED, f"({HOST})")
    seen["flowing"] = await call.flowing()
    seen["at both"] = {name: list(phones[name].registered_at) for name in ("desk1", "soft1")}
    seen["asked by soft1"] = await call.answered(phones["soft1"])
    seen["asked by desk1"] = await call.answered(phones["desk1"])
    seen["ended"] = await call.end(phones["soft1"])
    left = await scene.times(began, marks, PhoneEventKind.UNREGISTERED, network.HOST2)
    seen["left_s"] = left
    seen["in the end"] = {name: list(phones[name].registered_at) for name in marks}
    seen["call at the first"] = await heard(phones["desk1"], phones["desk2"], "1002")
    scene.seen["data centre"] = seen


async def look_at_two_data_centres(scene: Scene) -> None:
    """A phone at the first, another at the second: calls both ways, from outside, hold, and nobody there."""
    phones = scene.phones
    await phones["desk2"].stop()
    far = await scene.add(network.FAR_DESK2)
    seen: dict[str, Any] = {
        "near to far": await heard(phones["desk1"], far, "1002"),
        "far to near": await heard(far, phones["desk1"], "1001"),
        "far to soft": await heard(far, phones["soft1"], "1003"),
        "pstn to far": await heard(phones["pstn"], far, ACCOUNTS[1].e164 or ""),
        "far to pstn": await heard(far, phones["pstn"], PSTN_PEER.numbers[0]),
    }
    call = await Call.place(phones["soft1"], far, "1002")
    seen["asked by far"] = await call.answered(far)
    seen["asked by near"] = await call.answered(phones["soft1"])
    seen["ended"] = await call.end(phones["soft1"])
    leg = await far.call("1004")
    closed = await far.events.first({PhoneEventKind.CLOSED}, deadline_s=10, leg=leg.id)
    seen["to nobody"] = closed.detail
    scene.seen["two data centres"] = seen


async def play(folder: Path) -> None:
    """The whole scene; what was seen is written also where it breaks off."""
    scene = Scene(folder)
    await scene.start()
    try:
        await look_at_two_data_centres(scene)
        await scene.phones["desk2"].stop()
        await scene.add(network.DESK2)
        await look_at_other_line(scene)
        await look_at_lost_data_centre(scene)
    finally:
        scene.seen["events"] = {
            name: [[round(e.time, 2), e.kind.value, e.detail] for e in phone.events.history]
            for name, phone in scene.phones.items()
        }
        (folder / "observations.json").write_text(json.dumps(scene.seen, indent=1))
    await scene.stop()


if __name__ == "__main__":
    asyncio.run(play(Path(sys.argv[1])))
