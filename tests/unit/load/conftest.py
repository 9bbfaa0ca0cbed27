"""Stacks and agents on the loopback."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cloud_core import authority
from endpoints_emu.load.agent import UserAgent
from endpoints_emu.load.stack import Stack
from endpoints_emu.load.tls import server_tls
from endpoints_emu.load.transactions import Timing
from endpoints_emu.load.transport import Server, Transport
from tests.unit.load.registrar import Registrar
from uclab.plan.schema.plan import Account, Certificate

QUICK = Timing(t1_s=0.06, t2_s=0.3, t4_s=0.2)
"""Timers B and F after 3.8 s instead of 32."""


@dataclass
class Loopback:
    """One process's agents, ports and certificates."""

    certificates: authority.Certificates
    stack: Stack = field(default_factory=lambda: Stack(timing=QUICK))
    registrars: list[Registrar] = field(default_factory=list)

    def tls(self, name: str = "good") -> Any:
        """A server's settings with the certificate of that name."""
        issued = self.certificates.issued[name]
        return server_tls(issued.certificate, issued.key)

    def server(self, port: int, transport: Transport) -> Server:
        return Server("sbc.example.test", "127.0.0.1", port, transport, self.certificates.trusted)

    def agent(self, user: str, server: Server, **options: Any) -> UserAgent:
        account = Account(user, "example.test", f"secret of {user}", user)
        return UserAgent(self.stack, account, server, local_address="127.0.0.1", **options)

    def registrar(self, **options: Any) -> Registrar:
        """A registrar that knows `alice` and `bob`, on a stack of its own."""
        passwords = {user: f"secret of {user}" for user in ("alice", "bob")}
        self.registrars.append(Registrar(self.stack, passwords, **options))
        return self.registrars[-1]

    def called(self, user: str, transport: Transport, **options: Any) -> tuple[UserAgent, Server]:
        """An agent that takes calls, and how others reach it."""
        agent = self.agent(user, self.server(1, "udp"), **options)
        if transport == "udp":
            held = self.stack.udp("127.0.0.1")
            agent.use(held)
            return agent, self.server(held.local[1], "udp")
        tls = self.tls() if transport == "tls" else None
        return agent, self.server(self.stack.listen("127.0.0.1", 0, agent, tls).local[1], transport)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> authority.Certificates:
    """The lab's authority, and certificates that are right, of another name, of a foreign authority."""
    wanted = [
        Certificate("good", ("sbc.example.test",), ()),
        Certificate("misnamed", ("other.example.test",), ()),
        Certificate("foreign", ("sbc.example.test",), (), issuer="foreign"),
    ]
    folder: Path = tmp_path_factory.mktemp("authority")
    return authority.issue(wanted, folder)


@pytest.fixture
def loopback(certificates: authority.Certificates) -> Iterator[Loopback]:
    """Ended at once after the test, calls or not."""
    held = Loopback(certificates)
    yield held
    for registrar in held.registrars:
        registrar.close()
    held.stack.close()
