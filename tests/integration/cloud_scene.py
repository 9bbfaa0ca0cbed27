"""What the cloud's tests look at: `python -m tests.integration.cloud_scene FOLDER`, run inside `cloud_sandbox.UNSHARE`.

Brings the cloud up, treats it well and badly, and writes what happened to `FOLDER/observations.json`. It judges nothing: the
tests do.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloud_core.authority import Certificates, issue
from cloud_core.containers import SERVICE_ID, Podman
from cloud_core.services import RunningCloud, start_cloud
from endpoints_emu.baresip.configuration import Settings
from endpoints_emu.baresip.phone import BaresipPhone
from tests.integration.cloud_capture import Capture, process_facts
from tests.integration.cloud_plan import (
    ACCOUNTS,
    CONTROLLER,
    DESK1,
    DESK2,
    PSTN_PEER,
    UNREGISTERED,
    make_plan,
)
from tests.integration.cloud_sandbox import DNS, SandboxNode, build
from tests.integration.cloud_sip import Message, SipClient, sdp, tls
from uclab.plan.types import Account, Endpoint, SessionController

TALK_S = 2.0
"""How long a call is left alone so that there is something to hear."""


SUITES = ("AES_256_CM_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_80")
"""As PJSIP offers them: the long one first."""


class Scene:
    """The cloud, two phones behind NAT, and what was seen of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run_dir = folder
        self.nodes: dict[str, SandboxNode] = build()
        self.seen: dict[str, Any] = {}
        self.certificates: Certificates = issue(make_plan().certificates, folder / "pki", group=SERVICE_ID)
        self.podman = Podman(Path("/run/containers-of-lab"))
        self.cloud: RunningCloud | None = None

    async def start(
        self, name: str, controller: SessionController = CONTROLLER, endpoints: tuple[Endpoint, ...] = ()
    ) -> float:
        """Start the cloud with its files below `name`; seconds until all of it answered."""
        self.run_dir = self.folder / name
        began = time.monotonic()
        plan = replace(make_plan(), session_controllers=(controller,), endpoints=endpoints)
        self.cloud = await start_cloud(plan, self.nodes, self.run_dir, self.podman, self.certificates)
        return time.monotonic() - began

    async def stop(self) -> None:
        assert self.cloud
        await self.cloud.stop()

    def settings(self, **values: Any) -> Settings:
        return Settings(ca_file=self.certificates.trusted, nameservers=(DNS,), **values)

    async def client(self, account: Account = ACCOUNTS[2], node: str = "desk1", **values: Any) -> SipClient:
        context = values.pop("context", None) or tls(self.certificates.trusted)
        address = {"desk1": "10.10.110.11", "desk2": "10.10.110.12"}.get(node, "198.18.10.20")
        return await SipClient.connect(
            self.nodes[node], CONTROLLER, account, context, address=address, **values
        )


async def refused(attempt: Callable[[], Awaitable[Any]]) -> str:
    """Why an attempt failed; an empty string when it did not."""
    try:
        await attempt()
    except (ssl.SSLError, OSError, EOFError, TimeoutError, asyncio.IncompleteReadError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


async def look_at_names(scene: Scene) -> None:
    """What a phone gets from the name server, asked with `dig` from behind NAT."""
    answers = {}
    for question in (
        "sip.ucaas.test A",
        "_sips._tcp.ucaas.test SRV",
        "nobody.ucaas.test A",
        "sip.ucaas.test AAAA",
    ):
        log = scene.folder / "dig.log"
        log.unlink(missing_ok=True)
        argv = [
            "/usr/bin/dig",
            f"@{DNS}",
            "+tries=1",
            "+time=2",
            "+noall",
            "+comments",
            "+answer",
            *question.split(),
        ]
        process = await scene.nodes["desk1"].spawn(argv, name="dig", log=log)
        await process.wait()
        answers[question] = log.read_text()
    scene.seen["names"] = answers


async def look_at_doors(scene: Scene) -> None:
    """Ports on which anything listens in the session controller's namespace."""
    process = await asyncio.create_subprocess_exec(
        *("ip", "netns", "exec", "sbc", "ss", "-Hlntu"), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    scene.seen["listening"] = sorted(
        {f"{f[0]} {f[4]}" for f in (line.split() for line in output.decode().splitlines())}
    )


async def look_at_tls(scene: Scene) -> None:
    """Old versions, both new ones, the certificate by name, the trunk's door."""
    trusted = scene.certificates.trusted
    issued = scene.certificates.issued

    async def version(newest: ssl.TLSVersion) -> str:
        client = await scene.client(context=tls(trusted, newest=newest))
        client.close()
        return client.version

    scene.seen["tls 1.1"] = await refused(lambda: version(ssl.TLSVersion.TLSv1_1))
    scene.seen["tls 1.2"] = await version(ssl.TLSVersion.TLSv1_2)
    scene.seen["tls 1.3"] = await version(ssl.TLSVersion.TLSv1_3)
    scene.seen["verified by the foreign authority"] = await refused(
        lambda: scene.client(context=tls(scene.certificates.foreign))
    )

    async def over_trunk(certificate: Path | None) -> int:
        context = tls(trusted, certificate=certificate)
        client = await scene.client(ACCOUNTS[0], node="pstn", context=context, port=CONTROLLER.trunk_port)
        response = await client.request(
            "INVITE", f"sip:{UNREGISTERED.e164}@{CONTROLLER.host_name}", body=sdp("198.18.10.20", 4000)
        )
        client.close()
        return response.status

    scene.seen["trunk without certificate"] = await refused(lambda: over_trunk(None))
    scene.seen["trunk with foreign certificate"] = await refused(
        lambda: over_trunk(issued["intruder"].combined)
    )
    scene.seen["trunk with another's certificate"] = await over_trunk(issued["other"].combined)
    scene.seen["trunk with its certificate"] = await over_trunk(issued[PSTN_PEER.certificate].combined)


async def look_at_refusals(scene: Scene) -> None:
    """Requests that are to be refused, and the status with which they are."""
    statuses: dict[str, int] = {}
    client = await scene.client()
    domain = CONTROLLER.domain
    offer = sdp("10.10.110.11", 4000)
    client.send("REGISTER", f"sip:{domain}", to=client.account.aor)
    statuses["register without credentials"] = (await client.final()).status
    statuses["register with a wrong password"] = (await client.register(password="wrong")).status
    statuses["register somebody else"] = (await client.register(aor=ACCOUNTS[0].aor)).status
    stranger = await scene.client(replace(client.account, user="9999"))
    statuses["register as a stranger"] = (await stranger.register()).status
    stranger.close()
    statuses["register"] = (await client.register()).status
    client.send("INVITE", f"sip:1001@{domain}", to=f"sip:1001@{domain}", body=offer)
    statuses["call without credentials"] = (await client.final()).status
    statuses["call as somebody else"] = (
        await client.request("INVITE", f"sip:1001@{domain}", sender=ACCOUNTS[0].aor, body=offer)
    ).status
    statuses["call with plain RTP"] = (
        await client.request("INVITE", f"sip:1001@{domain}", body=sdp("10.10.110.11", 4000, "RTP/AVP"))
    ).status
    for name, uri in {
        "call to nobody": f"sip:7777@{domain}",
        "call to somebody not registered": UNREGISTERED.aor,
        "call to a foreign domain": "sip:1001@example.test",
    }.items():
        statuses[name] = (await client.request("INVITE", uri, body=offer)).status
    client.send("BYE", f"sip:1001@{domain}", to=f"sip:1001@{domain}", to_tag="none")
    statuses["end of no call"] = (await client.final()).status
    statuses["subscribe"] = (await client.request("SUBSCRIBE", f"sip:1001@{domain}")).status
    client.close()
    scene.seen["statuses"] = statuses


async def look_at_calls(scene: Scene) -> None:
    """Real phones: site to site, to the telephone network and from it, transfer; heard tones both ways."""
    assert scene.cloud
    phones: dict[str, BaresipPhone] = {}
    for endpoint in (DESK1, DESK2):
        folder = scene.run_dir / "endpoints" / endpoint.name
        phones[endpoint.name] = BaresipPhone(endpoint, scene.nodes[endpoint.node], folder, scene.settings())
    trunk = scene.settings(
        numbers=PSTN_PEER.numbers,
        listen_port=PSTN_PEER.port,
        certificate=scene.certificates.issued[PSTN_PEER.certificate].combined,
    )
    peer = PSTN_PEER.endpoint
    phones["pstn"] = BaresipPhone(
        peer, scene.cloud.pstn[PSTN_PEER.name], scene.run_dir / "endpoints" / "pstn", trunk
    )
    for phone in phones.values():
        phone.auto_answer = True
        await phone.start()
    await asyncio.gather(*(phones[name].register() for name in ("desk1", "desk2")))
    scene.seen["processes"] = process_facts()
    await look_at_doors(scene)
    calls = {}
    for name, caller, callee, number in (
        ("desk to desk", "desk1", "desk2", "1002"),
        ("desk to pstn", "desk1", "pstn", PSTN_PEER.numbers[0]),
        ("pstn to desk", "pstn", "desk2", ACCOUNTS[1].e164 or ""),
        ("pstn to extension", "pstn", "desk1", "1001"),
    ):
        calls[name] = await place(phones[caller], phones[callee], number)
    scene.seen["calls"] = calls
    scene.seen["transfer"] = await transfer(phones)
    await asyncio.gather(*(phone.stop() for phone in phones.values()))


async def place(caller: BaresipPhone, callee: BaresipPhone, number: str) -> dict[str, Any]:
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


async def transfer(phones: dict[str, BaresipPhone]) -> dict[str, Any]:
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


async def look_at_hold(caller: SipClient, callee: SipClient, established: Message, offer: str) -> dict[str, Any]:
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


async def play(folder: Path) -> None:
    """The whole scene."""
    scene = Scene(folder)
    capture = await Capture.start("sbc", folder / "sbc.pcapng")
    scene.seen["up_s"] = await scene.start("run")
    assert scene.cloud
    scene.seen["services"] = {
        s.name: {"answer": s.answer, "ready_s": s.ready_s} for s in scene.cloud.services
    }
    await look_at_names(scene)
    await look_at_tls(scene)
    await look_at_refusals(scene)
    await look_at_calls(scene)
    await look_at_offer(scene, "offer of several suites", sdp("10.10.110.11", 4000, suites=SUITES))
    relay = next(s for s in scene.cloud.services if s.name.endswith("rtpengine"))
    await relay.container.stop()
    scene.seen["relay's end"] = relay.container.process.returncode
    await look_at_offer(scene, "offer without relay", sdp("10.10.110.11", 4000))
    began = time.monotonic()
    await scene.stop()
    scene.seen["down_s"] = time.monotonic() - began
    await capture.stop()

    await scene.start("plain", endpoints=(replace(DESK1, media_encryption="none"),))
    await look_at_offer(scene, "plain offer in a drill", sdp("10.10.110.11", 4000, "RTP/AVP"))
    await scene.stop()
    await scene.start("direct", replace(CONTROLLER, anchor_media=False))
    await look_at_offer(scene, "offer without anchoring", sdp("10.10.110.11", 4000))
    await scene.stop()
    (folder / "observations.json").write_text(json.dumps(scene.seen, indent=1))


if __name__ == "__main__":
    asyncio.run(play(Path(sys.argv[1])))
