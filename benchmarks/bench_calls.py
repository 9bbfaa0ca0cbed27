"""How many real calls at once the lab carries on this machine before it loses packets, and what gives way.

    sudo .venv/bin/python -m benchmarks.bench_calls [--small] [--taps all|ends|both] [--json FILE]

One site with a pair of phones a call (`benchmarks.crowd`): desk phone calls softclient, through the cloud,
over TLS and SRTP, on a line that is wide and loses nothing. Step by step more pairs talk at once; every loss
is the lab's own. `all`: captures at every tap, as always. `ends`: only at the phones and the session
controller, to see what captures cost. Loss is judged from the captures afterwards, the processor's time read
from /proc while all talk. Calls of a step begin 0.1 s apart: no company dials in the same millisecond.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from benchmarks import crowd, processor
from benchmarks.processor import Usage
from uclab import api
from uclab.judge.case import Case
from uclab.judge.judging import build_case
from uclab.judge.quality import media_quality
from uclab.judge.run import load_run
from uclab.judge.types import HopRecord, MediaQuality
from uclab.judge.walks import blame_between, media_walk
from uclab.lab.client import CallOrder, LabClient
from uclab.lab.launch import LaunchedLab
from uclab.plan.records import CallRecord
from uclab.plan.types import Plan

STEPS = (4, 8, 12, 16, 20, 24, 28, 32)
SMALL_STEPS = (1, 2)
TALK_S = 6.0
"""For how long all calls of a step talk at once."""
APART_S = 0.1
SETTLE_S = 1.0
"""After the last call began: set-up is over and only talk is measured."""
SATURATED_PCT = 95.0
"""Of one core, by one process; or of all cores, by the machine."""
TapChoice = Literal["all", "ends"]


@dataclass(frozen=True)
class Step:
    """So many calls at once, as they were placed."""

    calls: int
    records: tuple[CallRecord, ...]
    usage: Usage


@dataclass(frozen=True)
class StepResult:
    """What the captures say of a step."""

    calls: int
    established: int
    heard: int
    """Calls in which both sides heard the other's tone."""
    packets: int
    """Media packets sent once the way was open, all directions."""
    lost: int
    worst_loss_pct: float
    worst_jitter_ms: float
    worst_delay_ms: float
    """The highest mean of a direction."""
    worst_gap_ms: float
    least_mos: float
    lost_in: dict[str, int]
    """Packets that no later tap saw, by the device that had them last."""
    unseen: int
    """Packets that a tap missed and a later one saw: the captures' own loss."""
    usage: Usage

    @property
    def carried(self) -> bool:
        """All calls came about, both sides heard each other, and not one packet was lost."""
        return self.established == self.heard == self.calls and self.packets > 0 and not self.lost


def at_the_ends(plan: Plan) -> Plan:
    """The plan with captures at endpoints and session controllers only: enough to judge calls by."""
    ends = {endpoint.node for endpoint in plan.endpoints}
    ends |= {controller.node for controller in plan.session_controllers}
    return replace(plan, taps=tuple(tap for tap in plan.taps if tap.namespace in ends))


def place_step(launched: LaunchedLab, calls: int) -> Step:
    """That many calls at once; the processor is watched while all of them talk."""
    seconds = TALK_S + calls * APART_S

    def call(pair: int) -> CallRecord:
        time.sleep(pair * APART_S)
        caller, callee = crowd.names(pair)
        client = LabClient(launched.client.lab)
        return client.call(CallOrder(f"n{calls:03}-{pair + 1}", caller, callee, "crowd", seconds))

    with ThreadPoolExecutor(calls) as callers:
        began = time.monotonic()
        placed = [callers.submit(call, pair) for pair in range(calls)]
        time.sleep(calls * APART_S + SETTLE_S)
        before = processor.look(launched.process.pid)
        time.sleep(max(began + seconds - time.monotonic(), 1.0))
        usage = processor.between(before, processor.look(launched.process.pid))
        records = tuple(future.result() for future in placed)
    return Step(calls, records, usage)


def run_steps(plan: Plan, steps: Sequence[int], run_dir: Path) -> list[Step]:
    """One lab, one step after the other, until one has calls that do not come about."""
    done: list[Step] = []
    began = time.monotonic()
    with api.leased_lab(plan, plan, run_dir, name=f"bench-calls-{os.getpid()}") as launched:
        state = launched.client.state()
        registered = sum(endpoint["registered"] for endpoint in state["endpoints"])
        print(
            f"up in {time.monotonic() - began:.1f} s: {registered} of {len(state['endpoints'])} phones, "
            f"{len(plan.taps)} taps, {len(plan.engines)} switch engines",
            flush=True,
        )
        for calls in steps:
            done.append(place_step(launched, calls))
            if not all(record.established for record in done[-1].records):
                break
        launched.client.down()
    return done


def losses(hops: Sequence[HopRecord], early: int) -> tuple[Counter[tuple[str, str]], int]:
    """Packets lost between two taps, and packets that taps missed (pure).

    A packet is lost where no later tap has it; `early` ones were dropped by the session controller before the
    way was open, which is no loss.
    """
    later = list(itertools.accumulate((hop.packets for hop in reversed(hops)), max))[::-1]
    lost: Counter[tuple[str, str]] = Counter()
    for (one, has), (other, had) in itertools.pairwise(zip(hops, later, strict=True)):
        turning = (one.leg, other.leg) == ("up", "down")
        lost[one.tap, other.tap] += max(has - had - (early if turning else 0), 0)
    unseen = sum(there - hop.packets for hop, there in zip(hops, later, strict=True))
    return +lost, unseen


def judge_step(case: Case, step: Step) -> StepResult:
    """The captures' word on the calls of a step."""
    qualities: list[MediaQuality] = []
    lost_in: Counter[str] = Counter()
    unseen = 0
    ids = {record.id for record in step.records}
    for call, direction, _, receiver in case.call_directions():
        stream = case.stream(call, direction)
        quality = media_quality(stream)
        if call.id not in ids or stream is None or quality is None:
            continue
        qualities.append(quality)
        walk = media_walk(case, call.id, direction, stream, receiver)
        lost, missed = losses(walk.hops, quality.before_open)
        unseen += missed
        for (before, at), packets in lost.items():
            lost_in[blame_between(case.network, before, at)] += packets
    return StepResult(
        calls=step.calls,
        established=sum(record.established for record in step.records),
        heard=sum(
            bool(r.forward and r.forward.heard and r.backward and r.backward.heard) for r in step.records
        ),
        packets=sum(q.packets + q.lost for q in qualities),
        lost=sum(q.lost for q in qualities),
        worst_loss_pct=max((q.loss_pct for q in qualities), default=100.0),
        worst_jitter_ms=max((q.worst_jitter_ms for q in qualities), default=0.0),
        worst_delay_ms=max((q.delay_ms for q in qualities), default=0.0),
        worst_gap_ms=max((q.max_gap_ms for q in qualities), default=0.0),
        least_mos=min((q.mos for q in qualities), default=0.0),
        lost_in=dict(lost_in.most_common()),
        unseen=unseen,
        usage=step.usage,
    )


def show(results: Sequence[StepResult]) -> None:
    """The table: a line a step."""
    print("                        ------------- worst direction ------------- | of a core")
    print("calls heard sent   lost    loss   jitter    delay      gap  MOS      | machine  most used")
    for r in results:
        used = ", ".join(f"{group} {pct:.0f} %" for group, pct in r.usage.most(5))
        quality = (
            f"{r.worst_loss_pct:6.2f} % {r.worst_jitter_ms:6.1f} ms {r.worst_delay_ms:5.1f} ms "
            f"{r.worst_gap_ms:5.0f} ms {r.least_mos:4.2f}"
        )
        print(
            f"{r.calls:5d} {r.heard:5d} {r.packets:6d} {r.lost:4d} {quality}  | {r.usage.machine:5.0f} %  {used}"
        )


def conclude(results: Sequence[StepResult], plan: Plan, run_dir: Path) -> None:
    """In words: how many calls, and what gave way first."""
    carried = list(itertools.takewhile(lambda result: result.carried, results))
    broken = results[len(carried) :]
    print(f"carried without the loss of a packet: {carried[-1].calls if carried else 0} calls at once")
    limit = plan.policy.max_loss_pct
    over = next((r for r in results if r.heard != r.calls or r.worst_loss_pct >= limit), None)
    within = [r.calls for r in results if over is None or r.calls < over.calls]
    print(f"within the policy's {limit:g} % in every call: {max(within, default=0)} calls at once")
    for told in [results[-1]] if not broken else [broken[0], *([over] if over and over != broken[0] else [])]:
        print(f"at {told.calls}: {first_to_give_way(told)}")
    print(f"captures: {captures_account(run_dir)}; lines: {lines_account(run_dir)}")


def first_to_give_way(result: StepResult) -> str:
    """Where packets were lost, and who was short of what."""
    cores = os.cpu_count() or 1
    where = ", ".join(f"{device} {packets}" for device, packets in list(result.lost_in.items())[:4])
    group, pct = result.usage.busiest
    full = result.usage.machine + result.usage.stolen >= SATURATED_PCT * cores
    words = [
        f"{result.lost} packets lost" + (f" (last seen at: {where})" if result.lost and where else ""),
        f"most used: {' and '.join(f'{name} {used:.0f} %' for name, used in result.usage.most(2))}",
        f"busiest process: {group}, {pct:.0f} % of a core"
        + (" (full: it is one thread)" if pct >= SATURATED_PCT else ""),
        f"machine {result.usage.machine:.0f} of {cores * 100} %"
        + (" (full)" if full else "")
        + (f", {result.usage.stolen:.0f} % stolen" if result.usage.stolen >= 1 else ""),
    ]
    if result.unseen:
        words.append(f"taps missed {result.unseen} packets that later taps saw")
    return "; ".join(words)


def captures_account(run_dir: Path) -> str:
    """What dumpcap says that it dropped, in the lab's own words."""
    events = (json.loads(line) for line in (run_dir / "events.jsonl").read_text().splitlines())
    return next((event["detail"] for event in events if event["kind"] == "captures-ended"), "no account")


def lines_account(run_dir: Path) -> str:
    """What the emulated lines did to packets: they were told to lose none."""
    words = []
    for path in sorted((run_dir / "lines").glob("*.json")):
        for line in json.loads(path.read_text())["lines"].values():
            words.append(
                f"at {path.stem} {line['arrived']} packets, {line['lost'] + line['refused']} lost, "
                f"1 % more than {line['lateness_p99_us'] / 1000:.1f} ms late"
            )
    return ", ".join(words) or "kept by the kernel"


def measure(choice: TapChoice, steps: Sequence[int]) -> list[StepResult]:
    """All steps in one lab, judged and printed."""
    with tempfile.TemporaryDirectory(prefix="bench-calls-") as name:
        folder = Path(name)
        file = folder / "crowd.yaml"
        file.write_text(crowd.topology(max(steps)))
        plan = api.plan_of(str(file))
        if choice == "ends":
            plan = at_the_ends(plan)
        print(f"captures: {choice}; load before {os.getloadavg()[0]:.2f}, {os.cpu_count()} cores", flush=True)
        placed = run_steps(plan, steps, folder / "run")
        began = time.monotonic()
        case = build_case(load_run(folder / "run"))
        results = [judge_step(case, step) for step in placed]
        print(f"judged {case.seen.packets:,} packets in {time.monotonic() - began:.1f} s")
        show(results)
        conclude(results, plan, folder / "run")
    return results


def main(argv: Sequence[str] | None = None) -> None:
    """With captures everywhere, then with few."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="two calls: does the benchmark work?")
    parser.add_argument("--taps", choices=("all", "ends", "both"), default="both", help="where to capture")
    parser.add_argument("--steps", type=int, nargs="+", help="calls at once, one step after the other")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args(argv)
    steps = options.steps or (SMALL_STEPS if options.small else STEPS)
    choices: list[TapChoice] = ["all", "ends"] if options.taps == "both" else [options.taps]
    figures = {choice: [asdict(result) for result in measure(choice, steps)] for choice in choices}
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
