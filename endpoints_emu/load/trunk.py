"""The telephone network's end of a SIP trunk: telephone numbers that call and are called, and never register.

Both ends verify each other's chain and name. Calls out share one connection to the session controller, made
when it is needed; calls in come by connections that the session controller opens.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from gevent.lock import BoundedSemaphore

from endpoints_emu.load.agent import UserAgent
from endpoints_emu.load.call import Call
from endpoints_emu.load.stack import Stack
from endpoints_emu.load.tls import server_tls
from endpoints_emu.load.transport import Server, Stream
from uclab.plan.schema.telephony import Account


class Trunk:
    """One a process: its lines, its connection out, and the port that it is called at."""

    def __init__(
        self,
        stack: Stack,
        server: Server,
        *,
        domain: str,
        host_name: str,
        address: str,
        port: int,
        callers: Collection[str],
    ) -> None:
        """`server`: the session controller's trunk port, with this side's certificate and key; `domain`: that
        of the subscribers behind it; `host_name`: this side's; `callers`: host names of the session
        controllers that may call. Listens at once, port 0 for any. Raises `OSError`."""
        if server.ca_file is None or server.certificate is None or server.key is None:
            raise ValueError("a trunk needs authorities to trust, and a certificate and key to show")
        self.stack = stack
        self.server = server
        self.domain = domain
        self.host_name = host_name
        self.address = address
        self.lines: dict[str, UserAgent] = {}
        """By number."""
        tls = server_tls(server.certificate, server.key, server.ca_file)
        self.listener = stack.listen(address, port, self.lines, tls, callers)
        self.port = self.listener.local[1]
        self._held: Stream | None = None
        self._connecting = BoundedSemaphore()

    def connection(self) -> Stream:
        """The connection out, made where there is none. Raises `ConnectFailed`."""
        with self._connecting:
            if self._held is None or self._held.closed:
                self._held = self.stack.connect(self.server, self.address, lambda why: None)
                self._held.users = self.lines
            return self._held


class Line(UserAgent):
    """A telephone number behind a trunk."""

    def __init__(self, trunk: Trunk, number: str, **options: Any) -> None:
        """`options`: as of `UserAgent`."""
        account = Account(number, trunk.host_name, "", number, number)
        super().__init__(trunk.stack, account, trunk.server, local_address=trunk.address, **options)
        self.trunk = trunk
        # where it is found whatever becomes of a connection (RFC 3261 sections 8.1.1.8 and 18.1.1)
        self.via = f"SIP/2.0/TLS {trunk.address}:{trunk.port};rport"
        self.contact = f"<sip:{number}@{trunk.address}:{trunk.port};transport=tls>"
        trunk.lines[number] = self

    def connection(self) -> Stream:
        """The trunk's. Raises `ConnectFailed`."""
        return self.trunk.connection()

    def call(self, target: str, **options: Any) -> Call:
        """Call a subscriber by number; `options`: as of `UserAgent.call`. Raises `CallFailed`."""
        uri = target if target.startswith(("sip:", "sips:")) else f"sip:{target}@{self.trunk.domain}"
        return super().call(uri, **options)

    def close(self) -> None:
        """Be a number that nobody has; calls are left as they are."""
        self.trunk.lines.pop(self.account.user, None)
