"""Names of measurements, and how they are figured (RFC 6076). Pure.

Times are seconds of one clock. Section numbers are those of RFC 6076.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from uclab.plan.load.record import EFFECTIVE

CHALLENGES = frozenset({401, 402, 407})
"""Neither a success nor a failure: the request is sent again with what was asked for."""
INEFFECTIVE = frozenset({408, 500, 503, 504})
"""The network failed (section 4.8)."""


@dataclass(frozen=True, slots=True)
class RegistrationAttempt:
    """One registration, whole: what came of it in the end."""

    status: int
    """Final status; 0: no answer, or no connection."""
    delay_s: float
    """Registration request delay, RRD (section 4.1): from the REGISTER with all that is needed (after a
    challenge, the one with credentials) to its 200."""
    whole_s: float
    """From the first REGISTER, challenge included."""
    why: str = ""

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status < 300

    @property
    def ineffective(self) -> bool:
        """An ineffective registration attempt, IRA (section 4.2)."""
        return not self.succeeded and self.status not in CHALLENGES and not 300 <= self.status < 400


@dataclass(frozen=True, slots=True)
class SessionAttempt:
    """One call as its caller saw it."""

    status: int
    """Final status of its INVITE; 0: no answer."""
    request_delay_s: float | None
    """Session request delay, SRD (section 4.3): from the INVITE with all that is needed to the first response
    that tells of the called side (180, 183, or a final one)."""
    setup_s: float | None = None
    """From the first INVITE to its 200."""
    duration_s: float | None = None
    """Session duration time, SDT (section 4.5): from 200 to BYE; None where it was not established."""
    disconnect_delay_s: float | None = None
    """Session disconnect delay, SDD (section 4.4): from this side's BYE to its final response."""
    completed: bool = False
    """Established, and ended as somebody wanted."""

    @property
    def established(self) -> bool:
        return 200 <= self.status < 300


def ineffective_registrations_pct(attempts: Sequence[RegistrationAttempt]) -> float | None:
    """IRA % (section 4.2)."""
    return _share(sum(attempt.ineffective for attempt in attempts), len(attempts))


def establishment_ratio_pct(sessions: Sequence[SessionAttempt]) -> float | None:
    """SER (section 4.6): calls answered, of all that were not sent elsewhere by a 3xx."""
    return _share(sum(session.established for session in sessions), _counted(sessions))


def establishment_effectiveness_pct(sessions: Sequence[SessionAttempt]) -> float | None:
    """SEER (section 4.7): as SER, and calls that the called side did not take are no failures."""
    reached = sum(session.established or session.status in EFFECTIVE for session in sessions)
    return _share(reached, _counted(sessions))


def ineffective_sessions_pct(sessions: Sequence[SessionAttempt]) -> float | None:
    """ISA % (section 4.8): 408, 500, 503, 504, and no answer at all."""
    failed = sum(session.status in INEFFECTIVE or session.status == 0 for session in sessions)
    return _share(failed, len(sessions))


def completion_ratio_pct(sessions: Sequence[SessionAttempt]) -> float | None:
    """SCR (section 4.9)."""
    return _share(sum(session.completed for session in sessions), len(sessions))


def _counted(sessions: Sequence[SessionAttempt]) -> int:
    return sum(not 300 <= session.status < 400 and session.status not in CHALLENGES for session in sessions)


def _share(part: int, whole: int) -> float | None:
    """Per cent; None of nothing."""
    return 100 * part / whole if whole else None


@dataclass(frozen=True, slots=True)
class MediaFigures:
    """What one call's media came to."""

    sent: int = 0
    received: int = 0
    lost: int = 0
    jitter_ms: float = 0.0
    authentication_failures: int = 0
    """Packets whose authentication tag was wrong: another key, or changed on the way."""
    replayed: int = 0
    malformed: int = 0
    stun: int = 0
    """STUN messages between the packets, by which some phones open their way through NAT; not answered."""
    signal_packets: int = 0
    """Packets with an agent's signal."""
    other_packets: int = 0
    """Packets with something else: a phone's tone, silence."""
    out_of_order: int = 0
    speakers: tuple[int, ...] = ()
    """Agents that were heard, in order."""
    reports_sent: int = 0
    reports_received: int = 0
    peer_lost: int | None = None
    """What the other side missed of ours (RTCP)."""
    peer_jitter_ms: float | None = None
    round_trip_ms: float | None = None
    encrypted: bool = False

    @property
    def signal_seen(self) -> bool:
        """Whether an agent's signal was most of what was heard."""
        return self.signal_packets > self.other_packets
