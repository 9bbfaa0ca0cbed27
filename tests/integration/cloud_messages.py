"""Messages to somebody who is not there, for `cloud_scene`: kept, over the session controller's death too,
and delivered one after the other."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from cloud_core.waiting_messages import FILE
from tests.integration.cloud_plan import ACCOUNTS, GROUP, UNREGISTERED
from tests.integration.cloud_sip import Message, SipClient
from tests.integration.cloud_stage import Scene
from uclab.runtime.readiness import wait_until

HOSTILE = "it's '); drop table waiting; -- $rU %s \\ \"ünïcode\""
CONTROLLER_SERVICE = "fra1-sbc-kamailio"


async def look_at_messages(scene: Scene) -> None:
    """What their sender is told, and what their recipient gets when it registers."""
    seen = scene.seen["messages"] = {}
    writer = await scene.client()
    seen["to nobody"] = (await write(writer, "sip:7777@ucaas.test", "anybody?")).status
    seen["too long"] = (await write(writer, UNREGISTERED.aor, "x" * 4097)).status
    texts = seen["texts"] = ["x" * 4096, HOSTILE, "the last of three"]
    seen["kept"] = [(await write(writer, UNREGISTERED.aor, text)).status for text in texts]
    writer.close()

    assert scene.cloud
    controller = next(s for s in scene.cloud.services if s.name == CONTROLLER_SERVICE)
    controller.container.process.kill()
    await controller.container.process.wait()
    again_there = await scene.cloud.start_again(CONTROLLER_SERVICE)

    # its recipient takes the first, and goes away with the second unanswered
    reader = await scene.client(UNREGISTERED, node="desk2")
    seen["registered"] = (await reader.register()).status
    first, second = await take(reader), await reader.receive()
    reader.close()
    # and comes back; meanwhile somebody writes a fourth
    writer = await scene.client()
    seen["behind those that wait"] = (await write(writer, UNREGISTERED.aor, "a fourth")).status
    reader = await scene.client(UNREGISTERED, node="desk2")
    await reader.register()
    again = await take(reader)
    rest = [await take(reader) for _ in range(2)]
    seen["delivered"] = [described(message) for message in (first, second, again, *rest)]
    # now that nothing waits and it is there, messages reach it at once
    await wait_until(lambda: nothing_waits(scene), what="the last that waited: confirmed", deadline_s=10.0)
    writer.send("MESSAGE", UNREGISTERED.aor, to=UNREGISTERED.aor, body="directly", content="text/plain")
    challenge = await writer.final()
    credentials = writer.credentials(challenge, "MESSAGE", UNREGISTERED.aor, writer.account.password)
    writer.send(
        *("MESSAGE", UNREGISTERED.aor),
        to=UNREGISTERED.aor,
        extra=credentials,
        body="directly",
        content="text/plain",
    )
    seen["directly"] = described(await take(reader))
    seen["directly answered"] = (await writer.final()).status
    # and their author, who registers now, is told of each of those that waited, once
    await writer.register()
    seen["receipts"] = [described(await take(writer)) for _ in range(4)]
    # a group: two of its members are there, one of them its author, and one is not
    other = await scene.client(ACCOUNTS[1])
    await other.register()
    seen["to the group"] = (await write(writer, f"sip:{GROUP.user}@ucaas.test", "to all of you")).status
    seen["members got"] = [described(await take(member)) for member in (reader, other)]
    seen["receipts of the group"] = [described(await take(writer)) for _ in range(2)]
    for client in (writer, reader, other):
        client.close()
    await again_there.container.stop()


async def nothing_waits(scene: Scene) -> bool | None:
    """True as soon as the session controller has nothing left to deliver to the one that was away."""
    place = scene.run_dir / "services" / CONTROLLER_SERVICE / "waiting" / FILE
    with closing(sqlite3.connect(place)) as table:
        mine = "select 1 from waiting where recipient = ?"
        return not table.execute(mine, (UNREGISTERED.user,)).fetchall() or None


async def write(writer: SipClient, to: str, text: str) -> Message:
    """The final response to a message."""
    return await writer.request("MESSAGE", to, body=text, content="text/plain")


async def take(reader: SipClient) -> Message:
    """The next message that comes in, which is answered with 200."""
    message = await reader.receive()
    while message.method != "MESSAGE":
        message = await reader.receive()
    reader.reply(message, "200 OK")
    return message


def described(message: Message) -> dict[str, str]:
    """What a recipient sees of a message."""
    return {
        "text": message.body,
        "from": message.header("From").partition(";")[0],
        "type": message.header("Content-Type"),
        "date": next(iter(message.all("Date")), ""),
        "call-id": message.header("Call-ID"),
        "cseq": message.header("CSeq"),
    }
