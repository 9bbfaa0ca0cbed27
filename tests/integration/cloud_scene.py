"""What the cloud's tests look at: `python -m tests.integration.cloud_scene play FOLDER` in a sandbox.

Brings the cloud up, treats it well and badly, and writes what happened to `FOLDER/observations.json`. It
judges nothing: the tests do.
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

from tests.integration.cloud_calls import look_at_calls, look_at_contact, look_at_offer, look_at_trunk_offer
from tests.integration.cloud_capture import Capture
from tests.integration.cloud_messages import look_at_messages
from tests.integration.cloud_plan import ACCOUNTS, CONTROLLER, DESK1, PSTN_PEER, UNREGISTERED
from tests.integration.cloud_sandbox import DNS
from tests.integration.cloud_sip import sdp, tls
from tests.integration.cloud_stage import Scene

SUITES = ("AES_256_CM_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_80")
"""As some phones offer them: the long one first."""


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


async def play(folder: Path) -> None:
    """The whole scene."""
    scene = Scene(folder)
    capture = await Capture.start("sbc", folder / "sbc.pcapng")
    scene.seen["up_s"] = await scene.start("run")
    assert scene.cloud
    scene.seen["services"] = {
        s.name: {"answer": s.answer, "ready_s": s.ready_s} for s in scene.cloud.services
    }
    await look_at_doors(scene)
    await look_at_names(scene)
    await look_at_tls(scene)
    await look_at_refusals(scene)
    await look_at_calls(scene)
    await look_at_offer(scene, "offer of several suites", sdp("10.10.110.11", 4000, suites=SUITES))
    await look_at_contact(scene)
    relay = next(s for s in scene.cloud.services if s.name.endswith("rtpengine"))
    await relay.container.stop()
    scene.seen["relay's end"] = relay.container.process.returncode
    await look_at_offer(scene, "offer without relay", sdp("10.10.110.11", 4000))
    began = time.monotonic()
    await scene.stop()
    scene.seen["down_s"] = time.monotonic() - began
    await capture.stop()

    await scene.start("messages")
    await look_at_messages(scene)
    await scene.stop()
    await scene.start("plain", endpoints=(replace(DESK1, media_encryption="none"),))
    await look_at_offer(scene, "plain offer in a drill", sdp("10.10.110.11", 4000, "RTP/AVP"))
    await scene.stop()
    await scene.start("direct", replace(CONTROLLER, anchor_media=False))
    await look_at_offer(scene, "offer without anchoring", sdp("10.10.110.11", 4000))
    await look_at_trunk_offer(scene, "offer of the trunk without anchoring")
    await scene.stop()
    (folder / "observations.json").write_text(json.dumps(scene.seen, indent=1))


async def stand(folder: Path) -> None:
    """The cloud alone, until somebody kills it."""
    await Scene(folder).start("run")
    (folder / "up").touch()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run({"play": play, "stand": stand}[sys.argv[1]](Path(sys.argv[2])))
