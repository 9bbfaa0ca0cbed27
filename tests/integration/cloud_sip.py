"""A small SIP client for what a phone would never do: wrong passwords, plain RTP, calls for somebody else."""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from uclab.plan.schema.plan import Account, SessionController
from uclab.runtime.node import NodeRuntime

ANSWER_S = 10.0


@dataclass(frozen=True)
class Message:
    """A SIP message as received."""

    first_line: str
    headers: tuple[tuple[str, str], ...]
    body: str

    @property
    def status(self) -> int:
        """Status code of a response; 0 for a request."""
        return int(self.first_line.split()[1]) if self.first_line.startswith("SIP/2.0") else 0

    @property
    def method(self) -> str:
        return self.first_line.split()[0]

    def all(self, name: str) -> list[str]:
        """Values of a header, in order."""
        return [value for header, value in self.headers if header.lower() == name.lower()]

    def header(self, name: str) -> str:
        return self.all(name)[0]


def tls(
    trusted: Path, *, certificate: Path | None = None, newest: ssl.TLSVersion | None = None
) -> ssl.SSLContext:
    """A client's TLS settings; `certificate`: its own; `newest`: limit of the version."""
    context = ssl.create_default_context(cafile=str(trusted))
    if certificate:
        context.load_cert_chain(certificate)
    if newest:
        context.set_ciphers("DEFAULT@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = newest
    return context


def sdp(
    address: str, port: int, profile: str = "RTP/SAVP", suites: tuple[str, ...] = ("AES_CM_128_HMAC_SHA1_80",)
) -> str:
    """An offer of G.711 audio."""
    key = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
    long_key = "A" * 59 + "=" * 2 + "="
    lines = [
        f"v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n",
        f"m=audio {port} {profile} 0\r\n",
    ]
    lines.append("a=rtpmap:0 PCMU/8000\r\n")
    if profile == "RTP/SAVP":
        for tag, suite in enumerate(suites, 1):
            lines.append(f"a=crypto:{tag} {suite} inline:{long_key if '256' in suite else key}\r\n")
    return "".join(lines)


@dataclass
class SipClient:
    """One TLS connection to the session controller."""

    account: Account
    controller: SessionController
    address: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    tag: str = field(default_factory=lambda: secrets.token_hex(4))
    counter: int = 0

    @classmethod
    async def connect(
        cls,
        node: NodeRuntime,
        controller: SessionController,
        account: Account,
        context: ssl.SSLContext,
        *,
        address: str = "192.0.2.1",
        port: int | None = None,
    ) -> Self:
        """Connect from `node`, verifying the server. Raises `ssl.SSLError` or `OSError`."""
        reader, writer = await node.connect_tcp(controller.address, port or controller.tls_ports[0])
        await writer.start_tls(context, server_hostname=controller.host_name)
        return cls(account, controller, address, reader, writer)

    @property
    def version(self) -> str:
        """TLS version agreed upon."""
        return str(self.writer.get_extra_info("ssl_object").version())

    def close(self) -> None:
        self.writer.close()

    async def receive(self) -> Message:
        """The next message, of either kind."""
        async with asyncio.timeout(ANSWER_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().strip("\r\n")
            first, *lines = head.split("\r\n")
            headers = tuple(
                (name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines)
            )
            length = next(
                (int(value) for name, value in headers if name.lower() in ("content-length", "l")), 0
            )
            return Message(first, headers, (await self.reader.readexactly(length)).decode())

    async def final(self) -> Message:
        """The next final response."""
        while True:
            message = await self.receive()
            if message.status >= 200:
                return message

    def send(
        self,
        method: str,
        uri: str,
        *,
        to: str,
        to_tag: str = "",
        sender: str | None = None,
        extra: str = "",
        body: str = "",
        content: str = "application/sdp",
        call_id: str = "",
    ) -> str:
        """Send a request, within a dialog if `to_tag` is given; its Call-ID."""
        self.counter += 1
        call_id = call_id or secrets.token_hex(8)
        sender = sender or self.account.aor
        content = f"Content-Type: {content}\r\n" if body else ""
        self.writer.write(
            (
                f"{method} {uri} SIP/2.0\r\n"
                f"Via: SIP/2.0/TLS {self.address}:5061;branch=z9hG4bK{secrets.token_hex(6)};rport\r\n"
                f"Max-Forwards: 70\r\nFrom: <{sender}>;tag={self.tag}\r\n"
                f"To: <{to}>{f';tag={to_tag}' if to_tag else ''}\r\n"
                f"Call-ID: {call_id}\r\nCSeq: {self.counter} {method}\r\n"
                f"Contact: <sip:{self.account.user}@{self.address}:5061;transport=tls>\r\n"
                f"{extra}{content}Content-Length: {len(body.encode())}\r\n\r\n{body}"
            ).encode()
        )
        return call_id

    async def request(
        self,
        method: str,
        uri: str,
        *,
        to: str = "",
        sender: str | None = None,
        body: str = "",
        content: str = "application/sdp",
        password: str | None = None,
    ) -> Message:
        """Send a request, answer the challenge, and return the final response."""
        to = to or uri
        call_id = self.send(method, uri, to=to, sender=sender, body=body, content=content)
        response = await self.final()
        if response.status not in (401, 407):
            return response
        credentials = self.credentials(
            response, method, uri, self.account.password if password is None else password
        )
        self.send(
            method, uri, to=to, sender=sender, extra=credentials, body=body, content=content, call_id=call_id
        )
        return await self.final()

    async def within(self, established: Message, method: str, body: str = "") -> Message | None:
        """Send a request within a dialog (RFC 3261 section 12.2); its response, None for ACK."""
        self.counter += method != "ACK"
        routes = "".join(f"Route: {value}\r\n" for value in reversed(established.all("Record-Route")))
        target = established.header("Contact").strip("<>")
        content = "Content-Type: application/sdp\r\n" if body else ""
        self.writer.write(
            (
                f"{method} {target} SIP/2.0\r\n"
                f"Via: SIP/2.0/TLS {self.address}:5061;branch=z9hG4bK{secrets.token_hex(6)};rport\r\n{routes}"
                f"Max-Forwards: 70\r\nFrom: {established.header('From')}\r\n"
                f"To: {established.header('To')}\r\n"
                f"Call-ID: {established.header('Call-ID')}\r\nCSeq: {self.counter} {method}\r\n"
                f"Contact: <sip:{self.account.user}@{self.address}:5061;transport=tls>\r\n"
                f"{content}Content-Length: {len(body)}\r\n\r\n{body}"
            ).encode()
        )
        return None if method == "ACK" else await self.final()

    async def register(self, *, password: str | None = None, aor: str | None = None) -> Message:
        """Register; `aor`: of somebody else."""
        aor = aor or self.account.aor
        return await self.request(
            "REGISTER", f"sip:{self.account.domain}", to=aor, sender=aor, password=password
        )

    def credentials(self, challenge: Message, method: str, uri: str, password: str) -> str:
        """Authorization header for a challenge (RFC 2617, MD5, qop=auth)."""
        name = "WWW-Authenticate" if challenge.status == 401 else "Proxy-Authenticate"
        fields = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge.header(name)))
        secret = md5(f"{self.account.user}:{fields['realm']}:{password}")
        cnonce = secrets.token_hex(4)
        answer = md5(f"{secret}:{fields['nonce']}:00000001:{cnonce}:auth:{md5(f'{method}:{uri}')}")
        return (
            f"{'Authorization' if challenge.status == 401 else 'Proxy-Authorization'}: Digest "
            f'username="{self.account.user}", realm="{fields["realm"]}", nonce="{fields["nonce"]}", '
            f'uri="{uri}", '
            f'response="{answer}", algorithm=MD5, qop=auth, nc=00000001, cnonce="{cnonce}"\r\n'
        )

    def reply(self, request: Message, status: str, body: str = "") -> None:
        """Answer a request that came in."""
        to = request.header("To")
        tagged = to if ";tag=" in to else f"{to};tag={self.tag}"
        via = "".join(f"Via: {value}\r\n" for value in request.all("Via"))
        routes = "".join(f"Record-Route: {value}\r\n" for value in request.all("Record-Route"))
        content = "Content-Type: application/sdp\r\n" if body else ""
        self.writer.write(
            (
                f"SIP/2.0 {status}\r\n{via}{routes}From: {request.header('From')}\r\n"
                f"To: {tagged}\r\n"
                f"Call-ID: {request.header('Call-ID')}\r\nCSeq: {request.header('CSeq')}\r\n"
                f"Contact: <sip:{self.account.user}@{self.address}:5061;transport=tls>\r\n"
                f"{content}Content-Length: {len(body)}\r\n\r\n{body}"
            ).encode()
        )


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()
