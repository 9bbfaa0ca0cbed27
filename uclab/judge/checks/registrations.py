"""Registration as a state over the whole run (`signalling.registered`, C1): since when, lost when, back when.

Two witnesses are heard: the decrypted signalling (200 OK to REGISTER, and how long it holds, RFC 3261 section
10.3), and the endpoint's own events, which know of a lost connection before the registration ends. Whoever
is not registered for one of them is not registered; where they disagree, that is said. A gap that something
broken on purpose explains is none of the network's, as long as it is over within the policy's time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from uclab.capture.dissect import SipMessage
from uclab.judge.evidence.link_outages import link_outages
from uclab.judge.evidence.network import number
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.plan.schema.plan import Endpoint
from uclab.records.run import BY_TIMETABLE, LINE_CHANGED, Event

AGREE_S = 2.0
"""Two witnesses of one registration are that close to each other at most: a phone may be slow to tell."""
REPORTS_LATE_S = 1.0
"""An endpoint may detect a loss that much before the order that caused it has been noted."""
LOST = ("flow-failed", "registration-failed", "phone-died", "unregistered")


@dataclass(frozen=True)
class Gap:
    """Not registered from `begin` on; None as `end`: never again."""

    begin: float
    end: float | None
    why: str

    def lasts_until(self, end_of_run: float) -> float:
        return end_of_run if self.end is None else self.end


@dataclass(frozen=True)
class Presence:
    """When an endpoint was registered, seconds since the epoch."""

    first: float | None
    """None: never."""
    gaps: tuple[Gap, ...]
    answers: tuple[SipMessage, ...]
    """The 200 OKs that the captures show."""
    told: tuple[Event, ...]
    """What the endpoint said."""
    disagreement: str = ""

    def there_at(self, at: float) -> bool:
        """Whether it was registered then; who registers only later was not."""
        if self.first is None or any(gap.begin <= at < gap.lasts_until(float("inf")) for gap in self.gaps):
            return False
        return self.first <= at + AGREE_S


@dataclass(frozen=True)
class Trouble:
    """A time in which something was broken on purpose, and what."""

    begin: float
    end: float
    what: str


def presences(evidence: RunEvidence) -> dict[str, Presence]:
    """The registration of each endpoint that registers, from the lab's `up` until its `going-down`."""
    _, end = watched(evidence)
    answers: dict[str | None, list[SipMessage]] = {}
    asked: dict[tuple[str, str], int | None] = {}
    for message in evidence.signalling.messages:
        if message.method == "REGISTER" and message.status is None:
            asked[message.call_id, message.cseq] = message.expires_s
        elif message.method == "REGISTER" and message.status == 200:
            client = evidence.endpoint_at_controller(message.at.dst, message.at.dport)
            answers.setdefault(client, []).append(message)
    events: dict[str, list[Event]] = {}
    for event in evidence.run.events:
        if event.kind in ("registered", *LOST) and event.time <= end:
            events.setdefault(event.source, []).append(event)
    return {
        endpoint.name: _presence(
            evidence, endpoint, answers.get(endpoint.name, []), asked, events.get(endpoint.name, [])
        )
        for endpoint in evidence.network.site_endpoints
        if endpoint.registers
    }


def longest_gap_s(evidence: RunEvidence, endpoint: str) -> float:
    """For how long an endpoint that was registered was not any more, at a stretch; 0 of one that always or
    never was."""
    _, end = watched(evidence)
    presence = presences(evidence).get(endpoint)
    gaps = presence.gaps if presence is not None else ()
    return max((gap.lasts_until(end) - gap.begin for gap in gaps), default=0.0)


Wished = Mapping[tuple[str, str], int | None]
"""Call-ID and CSeq of a REGISTER -> for how long it asked."""


def _presence(
    evidence: RunEvidence,
    endpoint: Endpoint,
    seen: Sequence[SipMessage],
    asked: Wished,
    heard: Sequence[Event],
) -> Presence:
    begin, end = watched(evidence)
    answers, reported = tuple(seen), tuple(heard)
    marks = sorted([*_from_captures(evidence, answers, asked, end), *_from_events(endpoint, reported)])
    goods = [mark.time for mark in marks if mark.kind == "there"]
    if not goods:
        return Presence(None, (), answers, reported)
    first = goods[0]
    gaps = list(_gaps(marks, end))
    if first > begin > 0:
        gaps.insert(0, Gap(begin, first, "not registered when the lab was up"))
    return Presence(first, tuple(gaps), answers, reported, _disagreement(evidence, answers, reported))


def watched(evidence: RunEvidence) -> tuple[float, float]:
    """From the lab's `up` to its `going-down`; without a word of an end, until the last that was seen or
    told: whether a registration was renewed afterwards nobody can know."""
    own = [event for event in evidence.run.events if event.source == "lab"]
    begin = next((event.time for event in own if event.kind == "up"), 0.0)
    last = [state.last_ns / 1e9 for state in evidence.seen.taps.values()]
    last += [event.time for event in evidence.run.events]
    return begin, next((event.time for event in own if event.kind == "going-down"), max(last, default=begin))


@dataclass(frozen=True, order=True)
class _Mark:
    """A witness's word: from now on it is registered at a place, or is not any more."""

    time: float
    kind: str
    """`gone`, or `there`: sorted so that who is there again at the same moment is there."""
    place: str
    why: str = ""


def _from_captures(
    evidence: RunEvidence, answers: Sequence[SipMessage], asked: Wished, end: float
) -> Iterator[_Mark]:
    """Each answer holds as long as it says; the end of one that was not renewed is a loss."""
    hosts = {number(c.address): c.host_name for c in evidence.network.plan.session_controllers}
    until: dict[str, float] = {}
    for message in sorted(answers, key=lambda m: m.at.time):
        place = hosts.get(number(message.at.src), message.at.src)
        if (over := until.get(place)) is not None and over < message.at.time:
            yield _Mark(over, "gone", place, "it expired and was not renewed")
        wanted = asked.get((message.call_id, message.cseq))
        if wanted == 0 or message.expires_s == 0:
            until.pop(place, None)
            yield _Mark(message.at.time, "gone", place, "taken back")
            continue
        yield _Mark(message.at.time, "there", place)
        lasts = message.expires_s if message.expires_s is not None else wanted
        until[place] = float("inf") if lasts is None else message.at.time + lasts
    for place, over in until.items():
        if over < end:
            yield _Mark(over, "gone", place, "it expired and was not renewed")


def _from_events(endpoint: Endpoint, events: Sequence[Event]) -> Iterator[_Mark]:
    """An event names the registrar where there are several; else it is about the preferred one."""
    last = endpoint.registrar
    for event in events:
        named = event.about if event.about in endpoint.registrars else None
        if event.kind == "registered":
            last = named or endpoint.registrar
            yield _Mark(event.time, "there", last)
        elif event.kind == "phone-died":
            yield from (
                _Mark(event.time, "gone", host, "the phone's program ended") for host in endpoint.registrars
            )
        else:
            reported = f"{event.kind}: {event.detail}" if event.detail else event.kind
            yield _Mark(event.time, "gone", named or last, reported)


def _gaps(marks: Sequence[_Mark], end: float) -> Iterator[Gap]:
    """When no place was left at which it was registered."""
    places: set[str] = set()
    began: tuple[float, str] | None = None
    for mark in marks:
        if mark.kind == "there":
            places.add(mark.place)
            if began is not None:
                yield Gap(began[0], mark.time, began[1])
                began = None
        elif places:
            places.discard(mark.place)
            if not places and mark.time < end:
                began = (mark.time, mark.why)
    if began is not None:
        yield Gap(began[0], None, began[1])


def _disagreement(evidence: RunEvidence, answers: Sequence[SipMessage], reported: Sequence[Event]) -> str:
    """What one witness saw and the other did not, where both have something to say."""
    seen = [message.at.time for message in answers]
    said = [event.time for event in reported if event.kind == "registered"]
    if not seen and not evidence.signalling.messages:
        return ""
    unseen = [t for t in said if not any(abs(t - other) <= AGREE_S for other in seen)]
    if unseen:
        return f"the endpoint reported {len(unseen)} registrations that the captures do not show"
    return "" if said or not reported else "the captures show what the endpoint did not report"


def troubles(evidence: RunEvidence) -> list[Trouble]:
    """Incidents of a scenario, what was failed by hand, and what timetables did to lines."""
    found = [
        Trouble(incident.failed_at, incident.healed_at, f"{incident.name} {incident.subject}")
        for incident in evidence.run.incidents
    ]
    found += [
        Trouble(outage.since, outage.until, f"{outage.link}, failed on purpose")
        for outage in link_outages(evidence.run.events)
    ]
    return found + [
        Trouble(event.time, event.time, f"{event.source}, by its timetable")
        for event in evidence.run.events
        if event.kind == LINE_CHANGED and event.about == BY_TIMETABLE
    ]


def allowed_s(evidence: RunEvidence, endpoint: Endpoint) -> float:
    """How long after a failure, or its restoration, an endpoint may take: by the policy's limit of failover,
    else by the time that its registration's own timing needs."""
    limits = evidence.network.policy.failover
    if limits is not None:
        return limits.max_registration_s
    timing = endpoint.registration
    return float(timing.lost_s + timing.retry_max_s + timing.attempt_s)


def explained(
    gap: Gap, known: Sequence[Trouble], allowed: float, detected: float, end: float
) -> Trouble | None:
    """The trouble that explains a gap: it began meanwhile, or as soon after as a loss may be `detected`, and
    was over within the time `allowed` after restoration."""
    for trouble in known:
        meanwhile = trouble.begin - REPORTS_LATE_S <= gap.begin <= trouble.end + detected
        if meanwhile and gap.lasts_until(end) <= trouble.end + detected + allowed:
            return trouble
    return None
