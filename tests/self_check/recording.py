"""Records a clean run that is short enough to be judged within a second or two: a few calls and messages on a
quiet network, with traffic of a PC beside them."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from uclab import api
from uclab.lab.bulk import FORGED_TOS
from uclab.lab.client import CallOrder, LabClient
from uclab.plan.schema.plan import Plan
from uclab.plan.traffic.calls import reference_calls
from uclab.plan.traffic.messages import reference_messages
from uclab.records.scenario import Asked, AskedCall, ScenarioRecord
from uclab.scenarios.recorded import recorded
from uclab.scenarios.reference import order_of_messages

CALL_S, CALLS = 4.0, 4
PINGS = 20


def short_calls(plan: Plan) -> tuple[AskedCall, ...]:
    """Calls between the parties of the reference scenario, all of the same short length."""
    plain = [call for call in reference_calls(plan) if call.transfer_to is None and call.kind != "overload"]
    chosen = (plain * CALLS)[:CALLS]
    return tuple(
        AskedCall(f"{call.kind}-{number}", call.caller, call.callee, call.kind, CALL_S)
        for number, call in enumerate(chosen, start=1)
    )


def record_short_run(topology: str, folder: Path) -> Path:
    """Brings a lab up, sends messages and places `short_calls` one after the other while each PC talks to the
    web server, and takes it down. Returns the run directory."""
    plan = api.plan_of(topology)
    calls, messages = short_calls(plan), reference_messages(plan)
    record = ScenarioRecord("short", "reference", time.time(), Asked(calls, messages=messages))
    with api.leased_lab(plan, plan, folder) as lab:
        with recorded(folder, record), ThreadPoolExecutor(2) as pool:
            beside = pool.submit(_talk_of_pcs, lab.client, plan)
            for asked in messages:
                lab.client.messages(order_of_messages(asked))
            for call in calls:
                lab.client.call(CallOrder(call.id, call.caller, call.callee, call.kind, call.seconds))
            beside.result()
        lab.client.down()
    return folder


def _talk_of_pcs(client: LabClient, plan: Plan) -> None:
    """One PC after the other pings its server, and claims that this were voice: an untrusted device's lie."""
    for flow in plan.bulk:
        ping = ["ping", "-n", "-q", "-c", str(PINGS), "-i", "0.1", "-Q", str(FORGED_TOS), flow.target_address]
        subprocess.run(client.command_at(flow.source_node, ping), check=True, stdout=subprocess.DEVNULL)


def main(words: list[str]) -> None:
    """`python -m tests.self_check.recording TOPOLOGY FOLDER`."""
    record_short_run(words[0], Path(words[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
