"""locust's leader and workers on the loopback of a namespace, no lab: what one that is elsewhere tells."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.labs import hear_ctrl_c
from tests.integration.machines import Machine, switch_on
from uclab.campaign import remote_machines
from uclab.campaign.orders import CAMPAIGNS, LEADER_PORT, CampaignOrder, leader_command, worker_at
from uclab.campaign.relay import relay, towards
from uclab.records.remote_generators import GENERATORS_VARIABLE, RECORDS_VARIABLE
from uclab.runtime.readiness import block_until

pytestmark = [pytest.mark.root, pytest.mark.req("D11"), pytest.mark.timeout(120)]

OTHER_PORT = 5558
LOCUSTFILE = """
import time
from locust import User, constant, task
from campaigns import messages
from uclab.plan.load.record import RegistrationRecord


class Teller(User):
    wait_time = constant(0.1)

    @task
    def tell(self):
        messages.tell("accounts", RegistrationRecord("700001", time.time(), 200, 1.0))

    def on_stop(self):
        time.sleep(1)  # records come after the campaign's end, too
        messages.tell("accounts", RegistrationRecord("700002", time.time(), 200, 1.0))
"""


@pytest.fixture
def machine() -> Iterator[Machine]:
    """Where all of it runs."""
    machine = switch_on("locusts")
    yield machine
    machine.off()


def _start(machine: Machine, command: list[str], **more: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(CAMPAIGNS.parent), **more}
    return subprocess.Popen(
        machine.in_network(command), env=environment, stdin=subprocess.DEVNULL, preexec_fn=hear_ctrl_c
    )


@pytest.mark.parametrize(
    ("number", "words"),
    [(None, ""), (signal.SIGKILL, "was lost before it signed off"), (signal.SIGINT, "left before the")],
)
def test_all_records_of_a_worker_elsewhere_come_or_are_missed(
    number: int | None, words: str, machine: Machine, tmp_path: Path
) -> None:
    # given a leader, a worker here and one elsewhere
    (tmp_path / "teller.py").write_text(LOCUSTFILE)
    seconds = 5 if number is None else 60  # who leaves has to leave before the end, on a busy machine too
    order = CampaignOrder("teller", tmp_path / "teller.py", 4, 10.0, seconds, 2, False)
    awaited = {GENERATORS_VARIABLE: "load2 load3", RECORDS_VARIABLE: str(tmp_path)}
    leader = _start(machine, leader_command(order, tmp_path), **awaited)
    here = _start(machine, worker_at(order.locustfile, "127.0.0.1", LEADER_PORT))
    # which reaches the leader as one on another machine does
    way = _start(machine, relay("127.0.0.1", OTHER_PORT, towards("127.0.0.1", LEADER_PORT)))
    far = worker_at(order.locustfile, "127.0.0.1", OTHER_PORT)
    there = _start(machine, far, **{GENERATORS_VARIABLE: "load2"})
    # when the campaign goes to its end, or the one elsewhere does not
    notes = tmp_path / "load2.accounts.jsonl"
    block_until(lambda: notes.exists() or None, what="records", deadline_s=30, every_s=0.05)
    if number is not None:
        there.send_signal(number)
        there.wait(timeout=60)
        leader.send_signal(signal.SIGTERM)
    for program in (leader, here, there):
        program.wait(timeout=60)
    way.terminate()
    way.wait(timeout=10)
    # then what came of it is known, and nothing hung
    record = remote_machines.ended("load2", tmp_path)
    assert words in record.trouble
    if number is None:
        assert record.trouble == ""
        users = [json.loads(line)["user"] for line in notes.read_text().splitlines()]
        assert users.count("700002") == 2
        told = json.loads((tmp_path / "load2.told.json").read_text())
        assert abs(told["ahead_s"]) < 0.5
        assert 0 < told["round_trip_s"] < 0.5
    assert remote_machines.ended("load3", tmp_path).trouble == "never connected"
    assert not (tmp_path / "load1.accounts.jsonl").exists()
