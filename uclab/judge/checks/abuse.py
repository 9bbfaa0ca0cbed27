"""What single addresses asked of the session controllers (C1): more connections than are theirs
(`abuse.connections`), connections on which nothing was said (`abuse.half-open`), passwords that were wrong
(`abuse.passwords`). The address is named, and the device that has it.

All from the session controllers' own taps: NAT has put a site's phones behind one address there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from uclab.judge.check import CHECKS, WITH_CALLS, Check, FindingKind
from uclab.judge.evidence.network import number, text
from uclab.judge.measure.connections import Connection, most_at_once
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Evidence, Finding
from uclab.plan.schema.plan import SessionController

FORBIDDEN = 403


def check_abuse(evidence: RunEvidence) -> Iterator[Finding]:
    """Three findings a session controller with limits."""
    for controller in evidence.network.plan.session_controllers:
        if controller.protection is not None:
            by_address = evidence.seen.connections.by_client(number(controller.address))
            yield _connections(evidence, controller, by_address)
            yield _silent(evidence, controller, by_address)
            yield _passwords(evidence, controller, by_address)


def _connections(
    evidence: RunEvidence, controller: SessionController, by_address: dict[int, list[Connection]]
) -> Finding:
    assert controller.protection is not None
    allowed = controller.protection.connections
    expected = f"no address has more than {allowed} connections at once"
    claim = Claim("abuse.connections", ("C1",), controller.name, expected)
    most = {
        address: most_at_once((connection.first_ns, connection.last_ns) for connection in connections)
        for address, connections in by_address.items()
    }
    return _judged(evidence, controller, claim, by_address, most, allowed, "asked for at once")


def _silent(
    evidence: RunEvidence, controller: SessionController, by_address: dict[int, list[Connection]]
) -> Finding:
    assert controller.protection is not None
    allowed = controller.protection.silent
    expected = f"no address has more than {allowed} connections at once on which it has said nothing for 1 s"
    claim = Claim("abuse.half-open", ("C1",), controller.name, expected)
    most = {
        address: most_at_once(
            silence for connection in connections if (silence := connection.silence) is not None
        )
        for address, connections in by_address.items()
    }
    return _judged(evidence, controller, claim, by_address, most, allowed, "silent at once")


def _judged(
    evidence: RunEvidence,
    controller: SessionController,
    claim: Claim,
    by_address: dict[int, list[Connection]],
    most: dict[int, int],
    allowed: int,
    what: str,
) -> Finding:
    if not by_address:
        return claim.not_applicable("nobody connected to it")
    worst = max(most, key=lambda address: (most[address], -address))
    connections = by_address[worst]
    observed = f"{most[worst]} {what} from {_who(evidence, worst)}, {len(connections)} in all"
    proof = Evidence(
        _tap(evidence, controller), tuple(sorted(connection.packet for connection in connections)[:3])
    )
    if most[worst] > allowed:
        return claim.failed(observed, proof, _name(evidence, worst))
    return claim.passed(observed, proof)


def _passwords(
    evidence: RunEvidence, controller: SessionController, by_address: dict[int, list[Connection]]
) -> Finding:
    limits = controller.protection
    assert limits is not None
    expected = f"wrong passwords from one address: fewer than {limits.failed_guesses} for one account"
    expected += f", fewer than {limits.guesses} in all"
    claim = Claim("abuse.passwords", ("C1",), controller.name, expected)
    own = number(controller.address)
    answers = [m for m in evidence.signalling.messages if number(m.at.src) == own and m.method == "REGISTER"]
    if not by_address:
        return claim.not_applicable("nobody connected to it")
    if not answers:
        return claim.not_shown(evidence.signalling_gap or "no answer to a REGISTER was decrypted")
    refused = [m for m in answers if m.status == FORBIDDEN]
    if not refused:
        return claim.passed("none was wrong")
    of_account = Counter((m.at.dst, m.to_user) for m in refused)
    of_address = Counter(m.at.dst for m in refused)
    (address, user), most = max(of_account.items(), key=lambda entry: (entry[1], entry[0]))
    wrong = most >= limits.failed_guesses
    if not wrong:
        address, most = max(of_address.items(), key=lambda entry: (entry[1], entry[0]))
        wrong, user = most >= limits.guesses, "several accounts"
    observed = f"{most} for {user} from {_who(evidence, number(address))}"
    packets = tuple(m.at.packet for m in refused if m.at.dst == address)
    proof = Evidence(_tap(evidence, controller), packets[:3])
    if wrong:
        return claim.failed(observed, proof, _name(evidence, number(address)))
    return claim.passed(observed, proof)


def _tap(evidence: RunEvidence, controller: SessionController) -> str | None:
    taps = (tap for tap in evidence.network.controller_taps if tap.startswith(f"{controller.node}:"))
    return next(taps, None)


def _who(evidence: RunEvidence, address: int) -> str:
    name = evidence.network.node_of_address.get(address)
    return f"{text(address)} ({name})" if name else text(address)


def _name(evidence: RunEvidence, address: int) -> str:
    return evidence.network.node_of_address.get(address, text(address))


CHECKS.declare(
    "abuse",
    Check(
        WITH_CALLS,
        lambda run: check_abuse(run.evidence),
        (
            FindingKind(
                "abuse.connections",
                ("C1",),
                "no address has more connections with a session controller at once than the policy's "
                "`protection` gives it; else the address and its device are named. Attempts count, "
                "refused or not",
            ),
            FindingKind(
                "abuse.half-open",
                ("C1",),
                "no address has more than `silent_connections` (plus one for each account) that were "
                "silent for a second",
            ),
            FindingKind(
                "abuse.passwords",
                ("C1",),
                "no address shows `failed_guesses` wrong passwords for one account (403 to REGISTER, "
                "decrypted)",
            ),
        ),
    ),
)
