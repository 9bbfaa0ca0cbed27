"""Whether a service of the cloud really answers: one question in its own protocol, asked inside its node.

Each probe returns what was answered, None when the answer does not count yet, and raises `OSError`
when there is none: what `wait_until` takes.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
import struct
from collections.abc import Awaitable, Callable
from typing import TypeVar

from uclab.plan.schema.plan import NameServer, SessionController
from uclab.runtime.node import NodeRuntime
from uclab.runtime.readiness import patient

T = TypeVar("T")

ANSWER_S = 1.0
"""How long one question waits for its answer before it is asked again."""


async def name_server_answers(node: NodeRuntime, server: NameServer) -> str | None:
    """Ask for the first record over TCP (RFC 1035 section 4.2.2); its name when there is an answer."""
    record = server.records[0]
    reply = await _within(_ask_name(node, server.address, record.name, {"A": 1, "SRV": 33}[record.type]))
    flags, _, answers = struct.unpack_from("!HHH", reply, 2)
    return record.name if flags & 0x000F == 0 and answers else None


async def _ask_name(node: NodeRuntime, address: str, name: str, record_type: int) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split("."))
    question = labels + b"\0" + struct.pack("!HH", record_type, 1)
    query = struct.pack("!HHHHHH", secrets.randbits(16), 0x0100, 1, 0, 0, 0) + question
    reader, writer = await node.connect_tcp(address, 53)
    try:
        writer.write(struct.pack("!H", len(query)) + query)
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        return await reader.readexactly(length)
    finally:
        writer.close()


async def media_relay_answers(node: NodeRuntime, ng_port: int) -> str | None:
    """Ping rtpengine's control port (ng protocol: a cookie, then a bencoded dictionary)."""
    reply = await _within(_ping(node, ng_port))
    return "pong" if b"4:pong" in reply else None


async def _ping(node: NodeRuntime, port: int) -> bytes:
    reader, writer = await node.connect_tcp("127.0.0.1", port)
    try:
        writer.write(secrets.token_hex(4).encode() + b" d7:command4:pinge")
        return await reader.read(1024)
    finally:
        writer.close()


async def session_controller_answers(
    node: NodeRuntime, controller: SessionController, port: int
) -> str | None:
    """TLS handshake and OPTIONS (RFC 3261 section 11) on one of its ports; the TLS version.

    The certificate is not looked at: that is the endpoints' part, and in a drill it is a foreign one.
    """
    return await _within(_ask_options(node, controller, port))


async def _ask_options(node: NodeRuntime, controller: SessionController, port: int) -> str | None:
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    reader, writer = await node.connect_tcp(controller.address, port)
    try:
        await writer.start_tls(trusting, server_hostname=controller.host_name)
        tag = secrets.token_hex(4)
        request = (
            f"OPTIONS sip:{controller.host_name} SIP/2.0\r\n"
            f"Via: SIP/2.0/TLS readiness.invalid;branch=z9hG4bK{tag};rport\r\n"
            f"Max-Forwards: 1\r\n"
            f"From: <sip:readiness@{controller.domain}>;tag={tag}\r\n"
            f"To: <sip:{controller.host_name}>\r\n"
            f"Call-ID: {tag}@readiness\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        )
        writer.write(request.encode())
        status = await reader.readline()
        version: str = writer.get_extra_info("ssl_object").version()
        if not status.startswith(b"SIP/2.0 200"):
            raise ConnectionError(
                f"OPTIONS answered with {status.decode(errors='replace').strip() or 'nothing'}"
            )
        return version
    finally:
        writer.close()


async def _within(question: Awaitable[T]) -> T:
    """An answer in time, or an `OSError` that says why not."""
    try:
        # not wait_for(): before Python 3.12 it forgets that it was cancelled where an answer comes meanwhile
        async with asyncio.timeout(patient(ANSWER_S)):
            return await question
    except TimeoutError:
        raise ConnectionError(f"no answer within {ANSWER_S:g} s") from None
    except (asyncio.IncompleteReadError, struct.error) as error:
        raise ConnectionError(f"answer cut short: {error}") from None


Probe = Callable[[], Awaitable[str | None]]
