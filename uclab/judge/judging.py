"""`judge_run`: from a run directory to findings. Works on files alone, so that kept captures can be judged
again."""

from __future__ import annotations

from pathlib import Path

from uclab.capture.dissect import (
    Handshake,
    Signalling,
    SipMessage,
    dissect,
    extract_signalling,
)
from uclab.capture.packets import MalformedCapture
from uclab.capture.tshark import DissectionError
from uclab.judge.check import Examined, in_order
from uclab.judge.coverage.bytes_needed import as_shown
from uclab.judge.coverage.times_needed import limited
from uclab.judge.evidence.load_sample import Sample, take_sample
from uclab.judge.evidence.network import PlannedNetwork
from uclab.judge.evidence.plan_shape import plan_trouble
from uclab.judge.evidence.run import Run, RunError, load_run
from uclab.judge.evidence.scratch import scratch_file
from uclab.judge.failover.outcomes import judged_incidents
from uclab.judge.host.reasons import by_host
from uclab.judge.load.measured_capacity import measured_ways
from uclab.judge.load.series import load_series
from uclab.judge.measure.observe import Progress, observe
from uclab.judge.measure.plots import ladders, media_series, rate_series
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.measure.srtp import key_ring
from uclab.judge.measure.streams import call_windows
from uclab.judge.measure.swapped_taps import misnamed_taps, set_aside
from uclab.judge.path.hop_trace import media_walk
from uclab.judge.quality.figures import judged_calls
from uclab.judge.result.interference import interferences
from uclab.judge.result.judgement import Judgement
from uclab.judge.result.margins import nearest
from uclab.plan.paths.line_loss import INTERRUPTED


def judge_run(run_dir: Path, progress: Progress | None = None) -> Judgement:
    """Judges a run directory (`uclab.records.run`). `RunError` where it cannot be read at all.

    `progress` is called with a phase (`signalling`, `packets`, `findings`) and a count.
    """
    return judge(load_run(run_dir), progress)


def judge(run: Run, progress: Progress | None = None) -> Judgement:
    """Judges what was loaded. `RunError` where its plan does not hold together."""
    try:
        return _judge(run, progress)
    except RunError:
        raise
    except Exception as error:
        # a plan that no planner made is wrong input, whatever it leads to; all else is our own fault
        if (trouble := plan_trouble(run.plan)) is not None:
            raise RunError(
                f"{run.folder / 'plan.json'}: the plan does not hold together: {trouble}"
            ) from error
        raise


def _judge(run: Run, progress: Progress | None) -> Judgement:
    evidence = build_evidence(run, progress)
    walks = tuple(
        media_walk(evidence, call.id, direction, stream, receiver)
        for call, direction, _, receiver in evidence.call_directions()
        if (stream := evidence.stream(call, direction)) is not None
    )
    incidents = judged_incidents(evidence)
    examined = Examined(evidence, walks, incidents)
    found = [finding for check in in_order() if run.checks in check.runs for finding in check.find(examined)]
    shown = (as_shown(evidence, finding) for finding in found)
    explained = by_host(evidence, incidents, limited(evidence, incidents, shown))
    if progress:
        progress("findings", len(explained.findings))
    series = (*media_series(evidence), *rate_series(evidence), *load_series(evidence))
    calls = judged_calls(evidence)
    return Judgement(
        explained.findings,
        calls,
        walks,
        series,
        tuple(ladders(evidence)),
        incidents,
        measured_ways(evidence),
        tuple(interferences(run.events, run.incidents)),
        explained.sentence,
        nearest(explained.findings, calls, evidence.network.policy, INTERRUPTED)
        if run.checks == "reference"
        else (),
    )


def build_evidence(run: Run, progress: Progress | None = None) -> RunEvidence:
    """Dissects the signalling, then reads all packets once with the keys that were found."""
    network = PlannedNetwork(run.plan)
    sample = take_sample(run, network) if run.checks == "load" else Sample()
    signalling, gap = (
        (Signalling((), sample.messages), "only sampled calls of a campaign are dissected")
        if run.checks in ("load", "capacity")
        else _signalling(run, network)
    )
    if progress:
        progress("signalling", len(signalling.messages))
    ring = key_ring(signalling.messages, network.signalling_addresses)
    windows = call_windows(run, network, signalling.messages, ring)
    seen = observe(run, network, ring, windows, progress)
    set_aside(seen, misnamed_taps(run.plan, seen.flows.all()))
    return RunEvidence(run, network, seen, signalling, gap, sample=sample)


def _signalling(run: Run, network: PlannedNetwork) -> tuple[Signalling, str | None]:
    """What the session controllers' taps show with the key log, and why it is nothing, if so."""
    handshakes: list[Handshake] = []
    messages: list[SipMessage] = []
    gap = None if run.keylog else "there is no TLS key log"
    files = {path for tap in network.controller_taps if (path := run.file_of(tap)) is not None}
    ports = run.plan.policy.sips_ports
    for path in sorted(files):
        with scratch_file() as extract:
            try:
                numbers = extract_signalling(path, extract, ports)
                found = dissect(extract, run.keylog, numbers)
            except (DissectionError, MalformedCapture) as error:
                gap = str(error)
                continue
            handshakes += found.handshakes
            messages += found.messages
    if not files:
        gap = "there is no capture at the session controller"
    elif not messages and gap is None:
        gap = "the key log opened no SIP message"
    return Signalling(tuple(handshakes), tuple(messages)), None if messages else gap
