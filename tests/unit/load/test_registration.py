"""Registrations over UDP, TCP and verified TLS; what goes wrong ends in bounded time and says what it was."""

from __future__ import annotations

import time

import gevent
import pytest

from endpoints_emu.load.measures import RegistrationAttempt
from endpoints_emu.load.transport import Transport
from tests.unit.load.conftest import QUICK, Loopback

pytestmark = pytest.mark.req("D11")
TRANSPORTS: tuple[Transport, ...] = ("udp", "tcp", "tls")


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_agent_registers_and_takes_it_back(loopback: Loopback, transport: Transport, algorithm: str) -> None:
    # given a registrar that challenges
    registrar = loopback.registrar(algorithm=algorithm)
    port = registrar.serve(transport, loopback.tls() if transport == "tls" else None)
    agent = loopback.agent("alice", loopback.server(port, transport))
    # when the agent registers
    attempt = agent.register(120)
    # then the registrar has its contact, and the delay is that of the second request
    assert (attempt.status, agent.granted_s) == (200, 120)
    assert registrar.contacts["alice"].startswith(agent.contact)
    assert 0 < attempt.delay_s < attempt.whole_s
    assert [request.cseq for request in registrar.seen] == [1, 2]
    assert len({request.first("call-id") for request in registrar.seen}) == 1
    # when it takes it back
    assert agent.unregister().succeeded
    assert not agent.registered
    assert registrar.contacts == {}


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_wrong_password_is_refused_once_and_for_all(loopback: Loopback, transport: Transport) -> None:
    registrar = loopback.registrar()
    registrar.passwords["alice"] = "another"
    port = registrar.serve(transport, loopback.tls() if transport == "tls" else None)
    agent = loopback.agent("alice", loopback.server(port, transport))
    attempt = agent.register()
    assert (attempt.status, attempt.succeeded, attempt.ineffective) == (403, False, True)
    assert len(registrar.seen) == 2
    assert not agent.registered


@pytest.mark.req("C9.1")
@pytest.mark.parametrize(("name", "why"), [("misnamed", "Hostname mismatch"), ("foreign", "self-signed")])
def test_wrong_certificate_is_refused_before_a_word_is_said(loopback: Loopback, name: str, why: str) -> None:
    registrar = loopback.registrar()
    agent = loopback.agent("alice", loopback.server(registrar.serve("tls", loopback.tls(name)), "tls"))
    attempt = agent.register()
    assert attempt.status == 0
    assert why in attempt.why
    assert registrar.seen == []


def test_nobody_at_the_port_is_told_at_once(loopback: Loopback) -> None:
    registrar = loopback.registrar()
    port = registrar.serve("tcp")
    registrar.close()
    began = time.monotonic()
    attempt = loopback.agent("alice", loopback.server(port, "tcp")).register()
    assert (attempt.status, "refused" in attempt.why) == (0, True)
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_silent_registrar_ends_in_bounded_time(loopback: Loopback, transport: Transport) -> None:
    registrar = loopback.registrar()
    registrar.silent = True
    port = registrar.serve(transport, loopback.tls() if transport == "tls" else None)
    began = time.monotonic()
    attempt = loopback.agent("alice", loopback.server(port, transport)).register()
    assert (attempt.status, attempt.why) == (0, "no answer")
    assert QUICK.timeout_s <= time.monotonic() - began < QUICK.timeout_s + 1
    # and over UDP it was asked again and again, ever more slowly; over a connection once
    assert len(registrar.seen) == 1 if transport != "udp" else 10 <= len(registrar.seen) <= 18


def test_lost_datagrams_are_sent_again(loopback: Loopback) -> None:
    registrar = loopback.registrar()
    registrar.lose = 3
    agent = loopback.agent("alice", loopback.server(registrar.serve("udp"), "udp"))
    assert agent.register().succeeded
    assert len({request.first("via") for request in registrar.seen}) == 2
    assert len(registrar.seen) == 5


def test_too_short_a_time_is_made_longer(loopback: Loopback) -> None:
    registrar = loopback.registrar(least_s=600)
    agent = loopback.agent("alice", loopback.server(registrar.serve("udp"), "udp"))
    assert agent.register(60).succeeded
    assert agent.granted_s == 600


def test_connection_lost_meanwhile_ends_the_attempt_at_once(loopback: Loopback) -> None:
    registrar = loopback.registrar()
    registrar.silent = True
    agent = loopback.agent("alice", loopback.server(registrar.serve("tcp"), "tcp"))
    began = time.monotonic()
    gevent.spawn_later(0.2, lambda: registrar.connections[0].close())
    assert agent.register().status == 0
    assert time.monotonic() - began < 1


def test_registration_is_kept_refreshed_and_won_back(loopback: Loopback) -> None:
    # given an agent that keeps a registration of 1 s
    registrar = loopback.registrar()
    port = registrar.serve("tcp")
    agent = loopback.agent("alice", loopback.server(port, "tcp"))
    told: list[RegistrationAttempt] = []
    agent.keep_registered(1, told.append)
    # then it is refreshed in time
    _wait(lambda: len(told) >= 2)
    # when the connection is lost, then it re-registers by another, at once
    before, began = len(told), time.monotonic()
    registrar.connections[0].close()
    _wait(lambda: len(told) > before)
    assert time.monotonic() - began < 0.5
    assert len(registrar.connections) == 2
    assert all(attempt.succeeded for attempt in told)
    agent.unregister()


def test_a_thousand_agents_register_in_one_process(loopback: Loopback) -> None:
    registrar = loopback.registrar()
    port = registrar.serve("udp")
    udp = loopback.stack.udp("127.0.0.1")
    users = [f"user{number}" for number in range(1000)]
    registrar.passwords = {user: f"secret of {user}" for user in users}
    agents = [loopback.agent(user, loopback.server(port, "udp"), udp=udp) for user in users]
    # when they all register, a hundred at a time
    waiting = iter(agents)

    def register_all() -> None:
        for agent in waiting:
            agent.register()

    done = gevent.joinall([gevent.spawn(register_all) for _ in range(100)], timeout=60)
    # then the registrar has every one
    assert len(done) == 100
    assert len(registrar.contacts) == 1000
    assert all(agent.registered for agent in agents)


def _wait(condition: object, deadline_s: float = 5.0) -> None:
    assert callable(condition)
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        gevent.sleep(0.02)
