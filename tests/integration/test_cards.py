"""Network cards that are lent, on a machine of namespaces; no lab."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.labs import UCLAB, hear_ctrl_c
from tests.integration.machines import ADDRESSES, Machine, lay_cables, switch_on
from uclab.campaign.orders import CAMPAIGNS, CampaignOrder, leader_command
from uclab.campaign.remote_machines import write_folders
from uclab.model.load import load_topology
from uclab.plan.load.load_placement import with_load
from uclab.plan.load.remote_generators import moved
from uclab.plan.planner import make_plan
from uclab.runtime.readiness import block_until

pytestmark = [pytest.mark.root, pytest.mark.req("D11")]
PROJECT = Path(__file__).resolve().parents[2]

SEATED = """
import json, subprocess
from uclab.campaign.generator import lent_card
from uclab.emulation.linux import netns
from uclab.plan.load.remote_generators import GeneratorNetworkConfig
from uclab.plan.schema.plan import Route

def seen(*words):
    return json.loads(subprocess.check_output(["ip", "-json", *words]))

users = ("10.1.1.5/24", "10.1.1.6/24")
route = Route("0.0.0.0/0", "10.1.1.1")
config = GeneratorNetworkConfig("load2", "02:00:00:00:00:09", users, (route,), (), 5557, 60)
with lent_card(config, "eth1") as place, netns.entered(place):
    print(json.dumps([seen("address"), seen("route")]))
"""


@pytest.fixture
def one() -> Iterator[Machine]:
    """The lab's machine, without a lab."""
    machine = switch_on("one")
    yield machine
    machine.off()


@pytest.fixture
def two(one: Machine) -> Iterator[Machine]:
    """The second machine, with its cables."""
    machines = [switch_on(name) for name in ("two", "between")]
    try:
        lay_cables(one, machines[0], machines[1])
        yield machines[0]
    finally:
        for machine in machines:
            machine.off()


def test_a_card_is_seated_and_comes_back_as_it_was(two: Machine) -> None:
    features = ("ethtool", "--json", "--show-features", "eth1")
    before, able = two.interface("eth1"), two.run(*features)
    # when a card becomes the users' way into a lab
    addresses, routes = json.loads(two.run("env", f"--chdir={PROJECT}", sys.executable, "-c", SEATED))
    # then it has their addresses, the planned MAC address and the default route, and is alone there
    assert [interface["ifname"] for interface in addresses] == ["lo", "eth1"]
    card = addresses[1]
    assert card["address"] == "02:00:00:00:00:09"
    assert [(one["family"], one["local"]) for one in card["addr_info"]] == [
        ("inet", "10.1.1.5"), ("inet", "10.1.1.6"),
    ]  # fmt: skip
    assert [route["gateway"] for route in routes if route["dst"] == "default"] == ["10.1.1.1"]
    # and afterwards it is back as it was
    after = two.interface("eth1")
    assert (after["address"], "UP" in after["flags"]) == (before["address"], True)
    assert two.run(*features) == able


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A generator's folder, as a campaign writes it."""
    order = CampaignOrder(
        "busy-hour", CAMPAIGNS / "busy_hour.py", 4, 4.0, 5, 2, False, {"load2": "eth1"}, ADDRESSES["one"]
    )
    load_plan, gone = moved(with_load(make_plan(load_topology("small-office")), 4, 2), order.remote)
    authority = tmp_path / "ca.pem"
    authority.touch()
    write_folders(load_plan, gone, order, authority, tmp_path)
    return tmp_path / "load2"


@pytest.mark.parametrize(
    ("interface", "words"),
    [
        ("eth0", "has the address 192.168.56.11/24"),
        ("eth1", "leads to this machine's default route"),
        ("eth7", "no network interface `eth7`"),
    ],
)
def test_a_card_in_use_is_refused(interface: str, words: str, two: Machine, folder: Path) -> None:
    # given a machine whose default route is by eth1
    two.run("ip", "address", "add", "10.9.9.9/24", "dev", "eth1")
    two.run("ip", "route", "add", "default", "via", "10.9.9.1")
    # when a generator is to use a card that this machine itself needs, then it is refused in words
    done = _generator(two, folder, interface)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    # and nothing has changed
    assert "10.9.9.9" in {one["local"] for one in two.interface("eth1")["addr_info"]}


def test_a_leader_that_nobody_hears_of_is_given_up(two: Machine, folder: Path) -> None:
    before = two.interface("eth1")
    done = _generator(two, folder, "eth1")
    assert done.returncode == 3
    assert "locust's leader to be reached at 192.168.56.10:5557" in done.stderr
    assert two.interface("eth1")["address"] == before["address"]


def test_ctrl_c_ends_the_worker_and_gives_the_card_back(
    one: Machine, two: Machine, folder: Path, tmp_path: Path
) -> None:
    # given a generator that locust's leader on the other machine knows of, though it has no lab
    before = two.interface("eth1")
    order = CampaignOrder("busy-hour", CAMPAIGNS / "busy_hour.py", 4, 4.0, 60, 1, False)
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    log = tmp_path / "leader.log"
    with log.open("w") as output:
        words = one.in_network(leader_command(order, tmp_path))
        leader = subprocess.Popen(words, env=environment, stdout=output, stderr=subprocess.STDOUT)
    playing = [str(UCLAB), "generator", str(folder), "--interface", "eth1", "--leader", ADDRESSES["one"]]
    generator = subprocess.Popen(two.in_network(playing), preexec_fn=hear_ctrl_c)
    block_until(
        lambda: "All users spawned" in log.read_text() or None,
        what="the worker's users",
        deadline_s=40,
        every_s=0.1,
    )
    assert "eth1" not in two.run("ip", "link")
    # when Ctrl-C is pressed
    generator.send_signal(signal.SIGINT)
    generator.wait(timeout=30)
    leader.kill()
    leader.wait()
    # then its card is back, and nobody is left who plays
    after = two.interface("eth1")
    assert (after["address"], "UP" in after["flags"]) == (before["address"], True)
    assert "Shutting down" in (folder / "worker.log").read_text()


def _generator(machine: Machine, folder: Path, interface: str) -> subprocess.CompletedProcess[str]:
    words = ["generator", str(folder), "--interface", interface, "--leader", ADDRESSES["one"]]
    return subprocess.run(
        machine.command([str(UCLAB), *words]),
        capture_output=True,
        text=True,
        env=dict(os.environ),
        timeout=60,
    )
