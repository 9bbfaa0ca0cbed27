"""How many real calls at once the lab carries on this machine before it loses packets, and what gives way.

    sudo .venv/bin/python -m benchmarks.bench_calls [--small] [--taps all|ends|both] [--json FILE]

One site with a pair of phones a call (`benchmarks.busy_site`): desk phone calls softclient, through the
cloud, over TLS and SRTP, on a line that is wide and loses nothing. Step by step more pairs talk at once;
every loss is the lab's own. `all`: captures at every tap, as always. `ends`: only at the phones and the
session controller, to see what captures cost. Loss is judged from the captures afterwards, the processor's
time read from /proc while all talk. Calls of a step begin 0.1 s apart: no company dials in the same
millisecond.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

from benchmarks import busy_site, processor
from benchmarks.call_losses import LoadLevel, StepResult, judge_step, keeps_policy
from testbed.process_tree import Process, descendants
from uclab import api
from uclab.judge.evidence.run import load_run
from uclab.judge.judging import build_evidence
from uclab.lab.client import CallOrder, LabClient
from uclab.plan.schema.plan import Plan, Policy
from uclab.records.run import CallRecord

STEPS = (2, 4, 6, 8, 10, 12, 16, 20)
SMALL_STEPS = (1, 2)
TALK_S = 6.0
"""For how long all calls of a step talk at once."""
APART_S = 0.1
SETTLE_S = 1.0
"""After the last call began: set-up is over and only talk is measured."""
SATURATED_PCT = 95.0
"""Of all cores together: the machine is full."""
TapChoice = Literal["all", "ends"]


def at_the_ends(plan: Plan) -> Plan:
    """The plan with captures at endpoints and session controllers only: enough to judge calls by."""
    ends = {endpoint.node for endpoint in plan.endpoints}
    ends |= {controller.node for controller in plan.session_controllers}
    return replace(plan, taps=tuple(tap for tap in plan.taps if tap.namespace in ends))


def place_step(client: LabClient, processes: Sequence[Process], calls: int) -> LoadLevel:
    """That many calls at once; the processor is watched while all of them talk."""
    seconds = TALK_S + calls * APART_S

    def call(pair: int) -> CallRecord:
        time.sleep(pair * APART_S)
        caller, callee = busy_site.names(pair)
        return client.call(CallOrder(f"n{calls:03}-{pair + 1}", caller, callee, "busy-site", seconds))

    with ThreadPoolExecutor(calls) as callers:
        began = time.monotonic()
        placed = [callers.submit(call, pair) for pair in range(calls)]
        time.sleep(calls * APART_S + SETTLE_S)
        before = processor.look(processes)
        time.sleep(max(began + seconds - time.monotonic(), 1.0))
        usage = processor.between(before, processor.look(processes))
        records = tuple(future.result() for future in placed)
    return LoadLevel(calls, records, usage)


def run_steps(plan: Plan, steps: Sequence[int], run_dir: Path) -> list[LoadLevel]:
    """One lab, one step after the other, until one has calls that are not established."""
    done: list[LoadLevel] = []
    began = time.monotonic()
    with api.leased_lab(plan, plan, run_dir, name=f"bench-calls-{os.getpid()}") as launched:
        state = launched.client.state()
        registered = sum(endpoint["registered"] for endpoint in state["endpoints"])
        print(
            f"up in {time.monotonic() - began:.1f} s: {registered} of {len(state['endpoints'])} phones, "
            f"{len(plan.taps)} taps, {len(plan.engines)} switch engines",
            flush=True,
        )
        processes = descendants(launched.process.pid)
        for calls in steps:
            done.append(place_step(launched.client, processes, calls))
            if not all(record.established for record in done[-1].records):
                break
        launched.client.down()
    return done


def show(results: Sequence[StepResult]) -> None:
    """The table: a line a step."""
    print("                         ------------- worst direction -------------  | of a core")
    print("calls heard  sent  lost    loss   jitter     delay       gap   MOS     | machine  most used")
    for r in results:
        used = ", ".join(f"{group} {pct:.0f} %" for group, pct in r.usage.most(5))
        quality = (
            f"{r.worst_loss_pct:6.2f} % {r.worst_jitter_ms:5.1f} ms {r.worst_delay_ms:6.1f} ms "
            f"{r.worst_gap_ms:6.0f} ms {r.least_mos:5.2f}"
        )
        counts = f"{r.calls:5d} {r.heard:5d} {r.packets:6d} {r.lost:5d}"
        print(f"{counts} {quality}     | {r.usage.machine:5.0f} %  {used}")


def conclude(results: Sequence[StepResult], policy: Policy, run_dir: Path) -> None:
    """In words: how many calls, and what was the first bottleneck."""
    questions: list[tuple[str, Callable[[StepResult], bool]]] = [
        ("without the loss of a packet", lambda result: result.carried),
        (
            f"within the policy (loss < {policy.max_loss_pct:g} %, jitter < {policy.max_jitter_ms:g} ms, "
            f"MOS >= {policy.min_mos:g})",
            lambda result: keeps_policy(result, policy),
        ),
    ]
    for words, holds in questions:
        held = list(itertools.takewhile(holds, results))
        print(f"{words}: {held[-1].calls if held else 0} calls at once")
        if len(held) < len(results):
            print(f"  gave way at {first_to_give_way(results[len(held)])}")
        else:
            print(f"  nothing gave way; at {first_to_give_way(results[-1])}")
    print(f"captures: {captures_account(run_dir)}")
    print(f"lines: {lines_account(run_dir)}")


def first_to_give_way(result: StepResult) -> str:
    """Where packets were lost, and who was short of what."""
    cores = os.cpu_count() or 1
    where = ", ".join(f"{device} {packets}" for device, packets in list(result.lost_in.items())[:4])
    group, pct = result.usage.busiest
    full = result.usage.machine + result.usage.stolen >= SATURATED_PCT * cores
    jitter = ", ".join(f"{kind}s {ms:.0f} ms" for kind, ms in result.jitter_of.items())
    words = [
        f"{result.calls}: {result.heard} of {result.calls} calls heard both ways, {result.lost} packets lost"
        + (f" (last seen at: {where})" if result.lost and where else ""),
        f"jitter by sender: {jitter}",
        f"most used: {' and '.join(f'{name} {used:.0f} %' for name, used in result.usage.most(2))}",
        f"busiest process: {group}, {pct:.0f} % of a core",
        f"machine {result.usage.machine:.0f} of {cores * 100} %"
        + (" (full)" if full else "")
        + f", the lab's part {sum(result.usage.groups.values()):.0f} %"
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
    return (
        ", ".join(
            f"at {path.stem} {line['arrived']} packets, {line['lost'] + line['refused']} lost, "
            f"1 % more than {line['lateness_p99_us'] / 1000:.1f} ms late"
            for path in sorted((run_dir / "lines").glob("*.json"))
            for line in json.loads(path.read_text())["lines"].values()
        )
        or "kept by the kernel"
    )


def measure(choice: TapChoice, steps: Sequence[int]) -> list[StepResult]:
    """All steps in one lab, judged and printed."""
    with tempfile.TemporaryDirectory(prefix="bench-calls-") as name:
        folder = Path(name)
        file = folder / "busy-site.yaml"
        file.write_text(busy_site.topology(max(steps)))
        plan = api.plan_of(str(file))
        if choice == "ends":
            plan = at_the_ends(plan)
        print(f"captures: {choice}; load before {os.getloadavg()[0]:.2f}, {os.cpu_count()} cores", flush=True)
        placed = run_steps(plan, steps, folder / "run")
        began = time.monotonic()
        evidence = build_evidence(load_run(folder / "run"))
        results = [judge_step(evidence, step) for step in placed]
        print(f"judged {evidence.seen.packets:,} packets in {time.monotonic() - began:.1f} s")
        show(results)
        conclude(results, plan.policy, folder / "run")
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
