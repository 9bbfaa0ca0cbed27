"""Calls for `cloud_scene`: of real phones, and of the small client where the bodies are to be looked at."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from endpoints_emu.factory import make_phone, make_trunk_phone
from endpoints_emu.phone import Phone
from tests.integration.cloud_capture import process_facts
from tests.integration.cloud_plan import ACCOUNTS, CONTROLLER, DESK1, DESK2, PSTN_PEER, SOFT1
from tests.integration.cloud_sip import Message, SipClient, sdp, tls
from tests.integration.cloud_stage import Scene

TALK_S = 2.0
"""How long a call is left alone so that there is something to hear."""


async def look_at_calls(scene: Scene) -> None:
    """Real phones: site to site, to the telephone network and from it, transfer; heard tones both ways."""
    assert scene.cloud
    trusted, issued = scene.certificates.trusted, scene.certificates.issued
    folder = scene.run_dir / "endpoints"
    phones: dict[str, Phone] = {
        endpoint.name: make_phone(endpoint, scene.nodes[endpoint.node], folder / endpoint.name, trusted)
        for endpoint in (DESK1, DESK2, SOFT1)
    }
    phones["pstn"] = make_trunk_phone(
        PSTN_PEER,
        scene.cloud.pstn[PSTN_PEER.name],
        folder / "pstn",
        trusted,
        issued[PSTN_PEER.certificate].combined,
    )
    for phone in phones.values():
        phone.auto_answer = True
        await phone.start()
    scene.seen["processes"] = process_facts()
    await asyncio.gather(*(phones[name].register() for name in ("desk1", "desk2", "soft1")))
    calls = {}
    for name, caller, callee, number in (
        ("desk to desk", "desk1", "desk2", "1002"),
        ("desk to soft", "desk1", "soft1", "1003"),
        ("soft to desk", "soft1", "desk2", "1002"),
        ("soft to pstn", "soft1", "pstn", PSTN_PEER.numbers[1]),
        ("pstn to soft", "pstn", "soft1", ACCOUNTS[2].e164 or ""),
        ("desk to pstn", "desk1", "pstn", PSTN_PEER.numbers[0]),
        ("pstn to desk", "pstn", "desk2", ACCOUNTS[1].e164 or ""),
        ("pstn to extension", "pstn", "desk1", "1001"),
    ):
        calls[name] = await place(phones[caller], phones[callee], number)
    scene.seen["calls"] = calls
    scene.seen["transfer"] = await transfer(phones)
    await asyncio.gather(*(phone.stop() for phone in phones.values()))


async def place(caller: Phone, callee: Phone, number: str) -> dict[str, Any]:
    """One call with what both sides heard."""
    since = len(callee.events.history)
    leg = await caller.call(number)
    event = await caller.established(leg)
    other = await callee.incoming(since=since)
    await asyncio.sleep(TALK_S)
    await caller.hang_up(leg)
    await asyncio.gather(caller.closed(leg), callee.closed(other))
    return {
        "setup_ms": event.setup_ms,
        "caller heard": caller.heard(leg, callee.endpoint.tone_hz).heard,
        "callee heard": callee.heard(other, caller.endpoint.tone_hz).heard,
    }


async def transfer(phones: dict[str, Phone]) -> dict[str, Any]:
    """The telephone network calls desk1, who passes the call on to desk2 (REFER)."""
    pstn, desk1, desk2 = phones["pstn"], phones["desk1"], phones["desk2"]
    since = len(desk1.events.history), len(desk2.events.history)
    leg = await pstn.call("1001")
    await pstn.established(leg)
    first = await desk1.incoming(since=since[0])
    await asyncio.sleep(TALK_S / 2)
    await desk1.transfer(first, "1002")
    second = await desk2.incoming(since=since[1])
    await desk2.established(second)
    await asyncio.sleep(TALK_S)
    await desk2.hang_up(second)
    await desk2.closed(second)
    return {"peer": second.peer, "desk2 heard": desk2.heard(second, pstn.endpoint.tone_hz).heard}


async def look_at_offer(scene: Scene, name: str, offer: str) -> None:
    """What arrives at desk2's device when desk1's offers `offer`, and what comes back for the answer."""
    caller, callee = await scene.client(ACCOUNTS[0]), await scene.client(ACCOUNTS[1], node="desk2")
    assert (await callee.register()).status == 200
    asking = asyncio.create_task(caller.request("INVITE", ACCOUNTS[1].aor, body=offer))
    incoming = asyncio.create_task(callee.receive())
    await asyncio.wait({asking, incoming}, return_when=asyncio.FIRST_COMPLETED)
    arrived = ""
    if incoming.done():
        arrived = incoming.result().body
        profile = "RTP/SAVP" if "RTP/SAVP" in arrived else "RTP/AVP"
        callee.reply(incoming.result(), "200 OK", sdp("10.10.110.12", 5000, profile))
    incoming.cancel()
    response = await asking
    seen = {"status": response.status, "arrived": arrived, "answer": response.body}
    if response.status == 200:
        seen |= await look_at_hold(caller, callee, response, offer)
    scene.seen[name] = seen
    caller.close()
    callee.close()


async def look_at_trunk_offer(scene: Scene, name: str) -> None:
    """What arrives at desk2's device when the telephone network calls it."""
    context = tls(scene.certificates.trusted, certificate=scene.certificates.issued["pstn"].combined)
    trunk = await scene.client(ACCOUNTS[0], node="pstn", context=context, port=CONTROLLER.trunk_port)
    callee = await scene.client(ACCOUNTS[1], node="desk2")
    assert (await callee.register()).status == 200
    asking = asyncio.create_task(trunk.request("INVITE", ACCOUNTS[1].aor, body=sdp("198.18.10.20", 4000)))
    incoming = await callee.receive()
    callee.reply(incoming, "486 Busy Here")
    scene.seen[name] = {"arrived": incoming.body, "status": (await asking).status}
    trunk.close()
    callee.close()


async def look_at_contact(scene: Scene) -> None:
    """Calls to a device by its contact, as a transfer with Replaces makes them (RFC 5589)."""
    caller, callee = await scene.client(ACCOUNTS[0]), await scene.client(ACCOUNTS[1], node="desk2")
    registered = await callee.register()
    contact = registered.header("Contact").partition("<")[2].partition(">")[0]
    offer = sdp("10.10.110.11", 4000)
    asking = asyncio.create_task(caller.request("INVITE", contact, body=offer))
    incoming = await callee.receive()
    callee.reply(incoming, "486 Busy Here")
    busy = await asking
    # the same device, but an address to which there is no connection
    elsewhere = re.sub(r"alias=[^~]*", "alias=198.18.0.53", contact)
    scene.seen["contact"] = {
        "contact": contact,
        "there": busy.status,
        "elsewhere": (await caller.request("INVITE", elsewhere, body=offer)).status,
    }
    caller.close()
    callee.close()


async def look_at_hold(
    caller: SipClient, callee: SipClient, established: Message, offer: str
) -> dict[str, Any]:
    """A call that stands is put on hold (re-INVITE) and ended: what arrives at the callee."""
    await caller.within(established, "ACK")
    arrived = [(await callee.receive()).method]
    holding = asyncio.create_task(caller.within(established, "INVITE", offer + "a=sendonly\r\n"))
    request = await callee.receive()
    arrived.append(request.method)
    profile = "RTP/SAVP" if "RTP/SAVP" in request.body else "RTP/AVP"
    callee.reply(request, "200 OK", sdp("10.10.110.12", 5000, profile) + "a=recvonly\r\n")
    held = await holding
    assert held
    await caller.within(held, "ACK")
    arrived.append((await callee.receive()).method)
    ending = asyncio.create_task(caller.within(held, "BYE"))
    bye = await callee.receive()
    arrived.append(bye.method)
    callee.reply(bye, "200 OK")
    ended = await ending
    assert ended
    return {"in the call": arrived, "hold": request.body, "held": held.body, "ended": ended.status}
