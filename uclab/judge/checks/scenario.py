"""Whether all that was asked for has happened and left its record (`scenario.complete`): a run that was
stopped half-way, or whose records were cut, shows less than it was to show, however good the rest is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from uclab.judge.check import CHECKS, EVERY_RUN, Check, FindingKind
from uclab.judge.evidence.messages import asked_messages
from uclab.judge.evidence.run import Run
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Evidence, Finding
from uclab.records.run import CallRecord
from uclab.records.scenario import BY_HAND, AskedCall, AskedLoad

REQUIREMENT = ("D3", "D5")
NAMED = 4
"""Things that an observation lists at most."""
ROUNDING_S = 0.5
"""A call is recorded as long as it was asked for, or longer, but for the accuracy of its events."""
SAMPLES_S = 5.0
"""A campaign's usage is noted once a second; a busy machine may be late."""


def check_scenario(evidence: RunEvidence) -> Iterator[Finding]:
    """What was planned, by kind: the end, the files of records, calls, incidents, load."""
    yield _ended(evidence.run)
    yield _whole_files(evidence)
    asked = asked_calls(evidence.run)
    if asked or evidence.run.calls:
        yield _calls(evidence, asked)
    if asked_messages(evidence.run) or evidence.run.messages:
        yield _messages(evidence.run)
    record = evidence.run.scenario
    if record is None or record.asked is None:
        return
    if record.asked.incidents:
        yield _incidents(evidence.run)
    if record.asked.load is not None:
        yield _load(evidence.run, record.asked.load)


def asked_calls(run: Run) -> tuple[AskedCall, ...]:
    """The calls that were to be: planned by a scenario, or ordered by hand and not refused."""
    planned = run.scenario.asked.calls if run.scenario and run.scenario.asked else ()
    refused = {order.number for order in run.orders if order.stage == "refused"}
    ordered = (
        order.call
        for order in run.orders
        if order.stage == "asked" and order.number not in refused and order.call
    )
    ids = {call.id for call in planned}
    return (*planned, *(call for call in ordered if call.id not in ids))


def _claim(subject: str, expected: str) -> Claim:
    return Claim("scenario.complete", REQUIREMENT, subject, expected)


def _ended(run: Run) -> Finding:
    """The scenario and the lab both said that they ended, and how."""
    claim = _claim("end", "the scenario states what it will do, and completes")
    record, end = run.scenario, run.end
    if record is None:
        return claim.not_shown("no plan of the scenario: there is no scenario.json")
    if record.name != BY_HAND:
        if record.asked is None:
            return claim.not_shown(f"scenario `{record.name}` left no plan of its actions")
        if end is None or end.at < record.began_at:
            return claim.not_shown(f"scenario `{record.name}` never reported its end: its driver was killed")
        if end.how != "whole":
            return claim.not_shown(f"scenario `{record.name}` {_in_words(end.how)}: {end.why}")
    if run.lab_end is None or run.lab_end.at < record.began_at:
        if run.alive:
            return claim.not_shown("the lab still runs: not all has happened yet")
        return claim.not_shown("the lab never reported its end: it was killed")
    undone = _undone(run)
    if undone:
        return claim.not_shown(f"requested, never carried out: {_some(undone)}")
    if record.name == BY_HAND:
        done = sum(order.stage == "done" for order in run.orders)
        return claim.passed(f"driven manually; {done} orders, each carried out; taken down in order")
    return claim.passed(f"scenario `{record.name}` completed, and the lab was taken down in order")


def _in_words(how: str) -> str:
    return {"interrupted": "was interrupted", "crashed": "crashed"}.get(how, how)


def _undone(run: Run) -> list[str]:
    ended = {order.number for order in run.orders if order.stage != "asked"}
    return [f"{order.what} {order.subject}" for order in run.orders if order.number not in ended]


def _whole_files(evidence: RunEvidence) -> Finding:
    """Each file of records is as long as the lab left it, ends with a whole record, and is of this run."""
    run = evidence.run
    claim = _claim("records", "every file of records is whole, and of this run")
    troubles = [f"{name} {why}" for name, why in sorted(run.cut.items())]
    troubles += [f"{name} is missing" for name, size in sorted(run.shorter.items()) if size is None]
    for length in run.lab_end.files if run.lab_end else ():
        size = run.shorter.get(length.name)
        if size is not None and length.name not in run.cut:
            troubles.append(f"{length.name} has {size} of the {length.bytes} bytes that it had in the end")
    troubles += _older(evidence)
    if troubles:
        return claim.not_shown("; ".join(troubles[:NAMED]), Evidence(text="; ".join(troubles)))
    if run.lab_end is None:
        return claim.not_shown("the lab did not record the final length of its files")
    return claim.passed(f"{len(run.lab_end.files)} files")


def _older(evidence: RunEvidence) -> Iterator[str]:
    """Files with something in them from before the run: left by an earlier one in the same folder."""
    run = evidence.run
    ups = [event for event in run.events if event.source == "lab" and event.kind == "up"]
    if len(ups) > 1:
        yield f"events.jsonl is of {len(ups)} labs"
    began = run.scenario.began_at if run.scenario else 0.0
    if any(call.started_at < began for call in run.calls):
        yield "calls.json has calls from before the run"
    if any(message.sent_at < began for message in run.messages):
        yield "messages.json has messages from before the run"
    if any(incident.failed_at < began for incident in run.incidents):
        yield "incidents.json has incidents from before the run"
    load = run.load
    if any(leg.record.started_at < began for leg in load.legs):
        yield "campaign/ has calls from before the run"
    times = (
        *(registration.at for registration in load.registrations),
        *(usage.at for usage in load.usage),
        *(queue.at for queue in load.queues),
        *(admission.at for admission in load.admissions),
    )
    if any(at < began for at in times):
        yield "campaign/ has records from before the run"
    first = run.events[0].time if run.events else 0.0
    if any(path.time < first for path in run.paths):
        yield "sdwan/paths.jsonl has figures from before the run"
    early = min((flow.first_ns for flow in evidence.flows), default=None)
    if early is not None and early < (first - 1) * 1e9:
        yield "captures/ has packets from before the run"


def _calls(evidence: RunEvidence, asked: Sequence[AskedCall]) -> Finding:
    """Each call that was asked for has the record of just that call, between parties that there are."""
    claim = _claim("calls", "every requested call has its record")
    records = {record.id: record for record in evidence.run.calls}
    missing = [call.id for call in asked if call.id not in records]
    missing += [transfer for call in asked if (transfer := _untransferred(call, records)) is not None]
    troubles = [f"no record of {_some(missing)}"] if missing else []
    known = {endpoint.name for endpoint in evidence.network.endpoints}
    for record in evidence.run.calls:
        strange = [
            n for n in (record.caller, record.callee) if evidence.network.endpoint_called(n) not in known
        ]
        if strange:
            troubles.append(
                f"{record.id} is between {record.caller} and {record.callee}, and the plan has no"
                f" {' and no '.join(strange)}"
            )
    troubles += [why for call in asked if (why := _differs(call, records.get(call.id)))]
    done = len(asked) - len([call for call in asked if call.id not in records])
    observed = f"{done} of {len(asked)} calls have their record"
    if troubles:
        return claim.not_shown(
            f"{observed}; {'; '.join(troubles[:NAMED])}", Evidence(text="; ".join(troubles))
        )
    if not asked:
        return claim.not_shown(
            f"{len(evidence.run.calls)} calls have a record, and no record of who requested them"
        )
    return claim.passed(observed)


def _messages(run: Run) -> Finding:
    """Each message that was asked for has its record."""
    claim = _claim("messages", "every requested message has its record")
    asked = asked_messages(run)
    records = {record.id: record for record in run.messages}
    names = [name for order in asked for name in order.ids]
    missing = [name for name in names if name not in records]
    strange = [name for name in records if name not in set(names)]
    ends = {name: (order.sender, order.recipient) for order in asked for name in order.ids}
    wrong = [
        name
        for name, record in records.items()
        if name in ends and ends[name] != (record.sender, record.recipient)
    ]
    troubles = [f"no record of {_some(missing)}"] if missing else []
    troubles += [f"nobody asked for {_some(strange)}"] if strange else []
    troubles += [f"{_some(wrong)} is between others than was asked for"] if wrong else []
    observed = f"{len(names) - len(missing)} of {len(names)} messages have their record"
    if troubles:
        return claim.not_shown(f"{observed}; {'; '.join(troubles)}")
    return claim.passed(observed)


def _untransferred(call: AskedCall, records: dict[str, CallRecord]) -> str | None:
    """The call that a transfer makes, where it has no record and none is to blame for that."""
    record = records.get(call.id)
    if call.transfer_to is None or record is None or record.error or not record.established:
        return None
    made = f"{call.id}-transferred"
    return None if made in records else made


def _differs(call: AskedCall, record: CallRecord | None) -> str:
    """What of a record is not as it was asked for."""
    if record is None:
        return ""
    wanted, found = (call.caller, call.callee, call.kind), (record.caller, record.callee, record.kind)
    if wanted != found:
        return f"{call.id} was to be {' '.join(wanted)}, recorded is {' '.join(found)}"
    if not record.established or record.error:
        return ""
    if record.answered_at is None or record.ended_at is None:
        return f"{call.id} has no time of its answer or end"
    lasted = record.ended_at - record.answered_at
    if lasted < call.seconds - ROUNDING_S:
        return f"{call.id} was to last {call.seconds:g} s, and lasted {lasted:.1f} s"
    return ""


def _incidents(run: Run) -> Finding:
    """Each incident that was planned was played."""
    claim = _claim("incidents", "every incident that was planned has its record")
    planned = run.scenario.asked.incidents if run.scenario and run.scenario.asked else ()
    played = {(incident.name, incident.subject, incident.round) for incident in run.incidents}
    missing = [asked for asked in planned if (asked.name, asked.subject, asked.round) not in played]
    observed = f"{len(planned) - len(missing)} of {len(planned)} incidents"
    if missing:
        names = [f"{asked.name} {asked.subject} (round {asked.round})" for asked in missing]
        return claim.not_shown(f"{observed}; no record of {_some(names)}", Evidence(text=", ".join(names)))
    return claim.passed(observed)


def _load(run: Run, asked: AskedLoad) -> Finding:
    """As many users, on as many generators, for as long as was wanted; of a measurement that it was one."""
    claim = _claim("load", "users, generators and duration of the load are as they were planned")
    load = run.load
    if not load.generators:
        return claim.not_shown("no record of how the load generators ended: there is no campaign.json")
    troubles = []
    if load.users != asked.users:
        troubles.append(f"{load.users} of {asked.users} users")
    gone = sorted(set(asked.generators) - {generator.node for generator in load.generators})
    if gone:
        troubles.append(f"no record of {_some(gone)}")
    if asked.calls and load.measuring is None:
        troubles.append("no record of what was measured")
    lasted = max((u.at for u in load.usage), default=0.0) - min((u.at for u in load.usage), default=0.0)
    if not asked.calls and lasted < asked.duration_s - SAMPLES_S:
        troubles.append(f"its load was noted for {lasted:.0f} of {asked.duration_s:.0f} s")
    if troubles:
        return claim.not_shown("; ".join(troubles))
    return claim.passed(f"{load.users} users on {len(load.generators)} generators")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"


CHECKS.declare(
    "scenario",
    Check(
        EVERY_RUN,
        lambda run: check_scenario(run.evidence),
        (
            FindingKind(
                "scenario.complete",
                ("D3", "D5"),
                "everything that was requested has its record, and the scenario reported its end: see "
                "[below](#incomplete-runs)",
            ),
        ),
    ),
)
