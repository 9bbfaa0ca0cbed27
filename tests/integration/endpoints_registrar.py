"""A SIP registrar over TLS for the endpoints' tests: digest authentication (RFC 3261 §22), one account, no
calls.

Run inside a sandbox's node: `python endpoints_registrar.py CERTIFICATE PORT USER PASSWORD DOMAIN`.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
import ssl
import sys

_COPIED = ("Via", "From", "To", "Call-ID", "CSeq")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def header(request: str, name: str) -> str:
    """Value of a header, empty where it is not there."""
    found = re.search(rf"^{name}:\s*(.*)$", request, re.MULTILINE | re.IGNORECASE)
    return found[1].strip() if found else ""


def authorised(request: str, user: str, password: str, domain: str) -> bool:
    """Whether the digest of a REGISTER is that of the account."""
    given = dict(re.findall(r'(\w+)="?([^",]+)"?', header(request, "Authorization")))
    secret = _md5(f"{user}:{domain}:{password}")
    target = _md5(f"REGISTER:{given.get('uri')}")
    if given.get("qop"):
        expected = _md5(f"{secret}:{given['nonce']}:{given['nc']}:{given['cnonce']}:{given['qop']}:{target}")
    else:
        expected = _md5(f"{secret}:{given.get('nonce')}:{target}")
    return given.get("username") == user and given.get("response") == expected


def respond(request: str, user: str, password: str, domain: str) -> str:
    """The response to a request, as text."""
    status, extra = "405 Method Not Allowed", ""
    if request.startswith("REGISTER "):
        if not header(request, "Authorization"):
            status = "401 Unauthorized"
            nonce = secrets.token_hex(8)
            extra = f'WWW-Authenticate: Digest realm="{domain}", nonce="{nonce}", algorithm=MD5\r\n'
        elif not authorised(request, user, password, domain):
            status = "403 Forbidden"
        else:
            status = "200 OK"
            extra = f"Contact: {header(request, 'Contact')};expires=270\r\n"
    elif request.startswith("OPTIONS "):
        status = "200 OK"
    copied = "".join(f"{name}: {header(request, name)}\r\n" for name in _COPIED)
    return f"SIP/2.0 {status}\r\n{copied}{extra}Content-Length: 0\r\n\r\n"


async def serve(certificate: str, port: int, user: str, password: str, domain: str) -> None:
    """Serve until killed."""

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request = (await reader.readuntil(b"\r\n\r\n")).lstrip(b"\r\n").decode()
                if request:
                    await reader.readexactly(int(header(request, "Content-Length") or 0))
                    print(request.splitlines()[0], flush=True)
                    writer.write(respond(request, user, password, domain).encode())
        except (asyncio.IncompleteReadError, OSError) as error:
            print(f"connection ended: {error}", flush=True)
        finally:
            writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    server = await asyncio.start_server(session, "0.0.0.0", port, ssl=context)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), *sys.argv[3:6]))
