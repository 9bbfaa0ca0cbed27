"""Connections on gevent's sockets: UDP, TCP, and TLS with the server's certificate and name verified; between
the ends of a trunk, the client's as well.

A stream has one greenlet that reads; datagrams are read by the event loop. Marked with the DSCP that they are
given (requirement: signalling AF31).
"""

from __future__ import annotations

import errno
import ipaddress
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import gevent
from gevent import server as gserver
from gevent import socket as gsocket
from gevent import ssl as gssl

from endpoints_emu.load.framing import Frames
from endpoints_emu.load.message import MalformedMessage
from endpoints_emu.load.tls import client_tls, shown_names
from endpoints_emu.load.transactions import Peer

Transport = Literal["udp", "tcp", "tls"]
DSCP_SIGNALLING = 26
"""AF31."""
SEND_S = 10.0
"""A peer that takes nothing for so long is gone."""
ROOM_BYTES = 4 << 20
"""For datagrams that many accounts get at the same time."""
_RCVBUFFORCE = 33
"""SO_RCVBUFFORCE of Linux (asm-generic/socket.h), which Python does not name."""
_READ = 1
"""libev's EV_READ."""
HANDSHAKE_S = 10.0
"""How long a client may take until its TLS stands."""
_AT_ONCE = 64
"""Messages read before other greenlets get their turn."""

Received = Callable[[bytes, Any, Peer], None]


class ConnectFailed(Exception):
    """No connection to the server."""


class CertificateRefused(ConnectFailed):
    """The server's certificate is not of an authority that we trust, or not the server's."""


@dataclass(frozen=True, slots=True)
class Server:
    """A SIP server as an agent reaches it: by address, verified by name."""

    host_name: str
    address: str
    port: int
    transport: Transport = "tls"
    ca_file: Path | None = None
    """Authorities that it must have its certificate from."""
    idle_s: int = 30
    """A connection that has been silent for so long is asked after by the kernel (keep-alive, RFC 1122)."""
    probe_s: int = 10
    """From one unanswered question to the next."""
    probes: int = 3
    """Unanswered questions after which it is given up."""
    certificate: Path | None = None
    """What this side shows of itself where the server asks for it, as a trunk's does; with `key`."""
    key: Path | None = None


def mark(sock: Any, dscp: int) -> None:
    """Mark what the socket sends."""
    sock.setsockopt(gsocket.IPPROTO_IP, gsocket.IP_TOS, dscp << 2)


class Udp:
    """One UDP socket; many accounts may share it."""

    reliable = False
    transport = "UDP"

    def __init__(self, address: str, port: int, received: Received, dscp: int = DSCP_SIGNALLING) -> None:
        self.users: dict[str, Any] = {}
        self.closed = False
        self.unsent = 0
        """Datagrams that the socket had no room for."""
        self._received = received
        self._socket = gsocket.socket(gsocket.AF_INET, gsocket.SOCK_DGRAM)
        try:
            self._socket.setsockopt(gsocket.SOL_SOCKET, _RCVBUFFORCE, ROOM_BYTES)
        except PermissionError:  # not root: as much as the machine grants everybody
            self._socket.setsockopt(gsocket.SOL_SOCKET, gsocket.SO_RCVBUF, ROOM_BYTES)
        mark(self._socket, dscp)
        self._socket.bind((address, port))
        self.local: tuple[str, int] = self._socket.getsockname()
        self._raw = self._socket._sock  # the plain socket: non-blocking, without a greenlet's detour
        self._watcher = gevent.get_hub().loop.io(self._raw.fileno(), _READ)
        self._watcher.start(
            self._readable
        )  # by the event loop itself: a greenlet would cost two switches more

    def send(self, data: bytes, peer: Peer) -> None:
        try:
            self._raw.sendto(data, peer)
        except OSError as error:
            if not self.closed and error.errno not in (
                errno.ECONNREFUSED,
                errno.EHOSTUNREACH,
                errno.ENETUNREACH,
            ):
                self.unsent += 1

    def close(self) -> None:
        """End it; nothing more is received."""
        if not self.closed:
            self.closed = True
            self._watcher.stop()
            self._watcher.close()
            self._socket.close()

    def _readable(self) -> None:
        receive, raw = self._received, self._raw
        for _ in range(_AT_ONCE):
            try:
                data, peer = raw.recvfrom(65535)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error for something sent before
                continue
            if data.strip(b"\r\n\0"):
                receive(data, self, peer)


class Stream:
    """One TCP or TLS connection."""

    reliable = True

    def __init__(
        self, sock: Any, transport: str, received: Received, on_lost: Callable[[Stream, str], None]
    ) -> None:
        self.users: dict[str, Any] = {}
        self.transport = transport
        self.closed = False
        self.local: tuple[str, int] = sock.getsockname()
        self.on_lost = on_lost
        self._socket = sock
        self._received = received
        self._queue: deque[bytes] = deque()
        self._sending = False
        sock.settimeout(None)
        self._reader = gevent.spawn(self._read)

    def send(self, data: bytes, peer: Peer) -> None:
        self._queue.append(data)
        if self._sending or self.closed:
            return
        self._sending = True
        try:
            while self._queue:
                with gevent.Timeout(SEND_S, OSError("takes nothing")):
                    self._socket.sendall(self._queue.popleft())
        except OSError as error:
            self._lose(str(error))
        finally:
            self._sending = False

    def close(self) -> None:
        """End it; nothing more is received, and nobody is told."""
        if not self.closed:
            self.closed = True
            self._queue.clear()
            if self._reader is not gevent.getcurrent():
                self._reader.kill(block=False)
            self._socket.close()

    def wait(self) -> None:
        """Until nothing is read any more."""
        self._reader.join()

    def _lose(self, why: str) -> None:
        if not self.closed:
            self.close()
            self.on_lost(self, why)

    def _read(self) -> None:
        frames = Frames()
        why = "closed by the other end"
        try:
            while not self.closed:
                data = self._socket.recv(65536)
                if not data:
                    break
                for message in frames.feed(data):
                    self._received(message, self, None)
                while frames.pings:
                    frames.pings -= 1
                    self.send(b"\r\n", None)
        except (OSError, MalformedMessage) as error:
            why = str(error)
        finally:
            self._lose(why)


def connect(
    server: Server,
    received: Received,
    on_lost: Callable[[Stream, str], None],
    *,
    local_address: str = "",
    dscp: int = DSCP_SIGNALLING,
    deadline_s: float = 10.0,
) -> Stream:
    """A connection to a server over TCP or TLS. Raises `ConnectFailed`, `CertificateRefused`."""
    sock: Any = gsocket.socket(gsocket.AF_INET, gsocket.SOCK_STREAM)
    try:
        mark(sock, dscp)
        _keep_alive(sock, server)
        if local_address:
            sock.bind((local_address, 0))
        with gevent.Timeout(deadline_s, TimeoutError(f"no connection in {deadline_s:g} s")):
            sock.connect((server.address, server.port))
            if server.transport == "tls":
                if server.ca_file is None:
                    raise ConnectFailed(f"{server.host_name}: TLS without authorities to trust")
                settings = client_tls(server.ca_file, server.certificate, server.key)
                sock = settings.wrap_socket(sock, server_hostname=server.host_name)
    except gssl.SSLCertVerificationError as error:
        sock.close()
        raise CertificateRefused(f"{server.host_name}: {error.verify_message}") from None
    except OSError as error:
        sock.close()
        raise ConnectFailed(f"{server.host_name} ({server.address}:{server.port}): {error}") from None
    return Stream(sock, server.transport.upper(), received, on_lost)


class Listener:
    """Takes TCP or TLS connections of others, for an end that is called without a registration."""

    def __init__(
        self,
        address: str,
        port: int,
        received: Received,
        on_lost: Callable[[Stream, str], None],
        *,
        tls: Any = None,
        dscp: int = DSCP_SIGNALLING,
        on_connection: Callable[[Stream], None] = lambda stream: None,
        names: Collection[str] = (),
    ) -> None:
        """`names`: a client's certificate has to be for one of these; without any, all may come."""
        self.refused = 0
        """Clients whose TLS was not established, or whose certificate is for somebody else."""

        def accepted(sock: Any, _: object) -> None:
            mark(sock, dscp)
            try:
                with gevent.Timeout(HANDSHAKE_S, TimeoutError("no TLS")):
                    held = tls.wrap_socket(sock, server_side=True) if tls else sock
                if names and not set(names) & shown_names(held.getpeercert()):
                    raise gssl.SSLError("a certificate for somebody else")
            except OSError:
                self.refused += 1
                return
            stream = Stream(held, "TLS" if tls else "TCP", received, on_lost)
            on_connection(stream)
            stream.wait()  # gevent's server closes the socket when this returns

        self._server = gserver.StreamServer((address, port), accepted, backlog=4096)
        self._server.start()
        self.local: tuple[str, int] = (self._server.server_host, self._server.server_port)

    def close(self) -> None:
        """Take no more."""
        self._server.stop(timeout=0)


def _keep_alive(sock: Any, server: Server) -> None:
    sock.setsockopt(gsocket.SOL_SOCKET, gsocket.SO_KEEPALIVE, 1)
    sock.setsockopt(gsocket.IPPROTO_TCP, gsocket.TCP_NODELAY, 1)
    for option, value in (
        ("TCP_KEEPIDLE", server.idle_s),
        ("TCP_KEEPINTVL", server.probe_s),
        ("TCP_KEEPCNT", server.probes),
        ("TCP_USER_TIMEOUT", 1000 * (server.idle_s + server.probes * server.probe_s)),
    ):
        sock.setsockopt(gsocket.IPPROTO_TCP, getattr(gsocket, option), value)


def address_of(text: str) -> str:
    """An IPv4 address, checked. Raises `ValueError`."""
    return str(ipaddress.IPv4Address(text))
