"""A campaign with a load generator on a second machine: what a user would type on both, and what comes of it
where the second one is switched off in the middle."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.integration.labs import UCLAB, on_request
from tests.integration.machines import ADDRESSES, Machine, lay_cables, switch_on
from uclab.capture.headers import decode
from uclab.capture.pcapng import PcapngReader
from uclab.plan.schema.codec import plan_from_json
from uclab.runtime.readiness import block_until

pytestmark = [pytest.mark.root, pytest.mark.req("D11"), pytest.mark.timeout(400)]


@pytest.fixture
def machines() -> Iterator[tuple[Machine, Machine]]:
    """Machine one and machine two, with their cables."""
    one, two, between = (switch_on(name) for name in ("one", "two", "between"))
    try:
        lay_cables(one, two, between)
        yield one, two
    finally:
        for machine in (one, two, between):
            if machine.process.poll() is None:
                machine.off()


def _start(machine: Machine, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start `uclab` on a machine."""
    return subprocess.Popen(
        machine.command([str(UCLAB), *arguments]),
        env={**os.environ, "UCLAB_LABS": str(folder / "labs")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _campaign(one: Machine, folder: Path, *more: str) -> subprocess.Popen[str]:
    return _start(
        *(one, folder, "campaign", "small-office", "--users", "8", "--workers", "2", "--spawn-rate", "8"),
        *("--remote", "load2=eth1", "--listen", ADDRESSES["one"], "--wait", "60"),
        *("--out", str(folder / "out"), *more),
    )


def _carry_over(campaign: subprocess.Popen[str], folder: Path) -> Path:
    """Wait for the generator's folder and copy it, as an operator would."""
    made = folder / "out" / "campaign" / "load2"
    log = folder / "out" / "campaign" / "relay.log"

    def look() -> bool | None:
        assert campaign.poll() is None, campaign.communicate()[0]
        return True if log.exists() else None

    block_until(look, what="the generator's folder", deadline_s=120, every_s=0.05)
    assert {path.stat().st_mode & 0o777 for path in made.iterdir()} == {0o600}
    return Path(shutil.copytree(made, folder / "carried" / "load2"))


def _generator(two: Machine, folder: Path, carried: Path) -> subprocess.Popen[str]:
    words = ("generator", str(carried), "--interface", "eth1", "--leader", ADDRESSES["one"])
    return _start(two, folder, *words)


def _finding(results: dict[str, Any], name: str, subject: str) -> dict[str, Any]:
    return next(dict(f) for f in results["findings"] if (f["id"], f["subject"]) == (name, subject))


def _records(folder: Path, kind: str) -> list[dict[str, Any]]:
    text = (folder / "out" / "campaign" / f"load2.{kind}.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_users_of_a_second_machine_sit_at_their_place(
    machines: tuple[Machine, Machine], tmp_path: Path
) -> None:
    one, two = machines
    before = {machine.name: machine.interface("eth1")["address"] for machine in machines}
    # given a campaign whose second generator is at the end of a network card's cable
    campaign = _campaign(one, tmp_path, "--duration", "20")
    carried = _carry_over(campaign, tmp_path)
    # when its folder is carried over, and played there
    generator = _generator(two, tmp_path, carried)
    said, _ = generator.communicate(timeout=200)
    output, _ = campaign.communicate(timeout=200)
    # then both end well, and everything held
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert (generator.returncode, campaign.returncode) == (0, 0), said + output
    assert results["verdict"] == "pass"
    assert "3 generators, 8 users" in _finding(results, "load.generators", "generators")["observed"]
    # and users there registered, called and heard, by records that came without anybody's doing
    assert {one["status"] for one in _records(tmp_path, "accounts")} == {200}
    legs = [leg for leg in _records(tmp_path, "legs") if leg["status"] == 200]
    assert legs
    assert all(leg["heard"] for leg in legs)
    assert len(_records(tmp_path, "legs")) == (carried / "load2.legs.jsonl").read_text().count("\n")
    # and their voice is judged by what passed their access port
    assert _finding(results, "load.quality", "voice from load2")["verdict"] == "pass"
    assert _voice_at_the_port(tmp_path) > 500
    # and both network cards are back as they were
    for machine in machines:
        card = machine.interface("eth1")
        assert card["address"] == before[machine.name]
        assert [address["local"] for address in card["addr_info"] if address["family"] == "inet"] == []


def _voice_at_the_port(folder: Path) -> int:
    """Media packets that load2's users sent, as captured at their access port."""
    plan = plan_from_json((folder / "out" / "plan.json").read_text())
    (card,) = plan.cards
    engine = next(switch.engine for switch in plan.switches if switch.name == card.switch)
    own = plan.node("load2").interfaces[0]
    mac = int(own.mac.replace(":", ""), 16)
    count = 0
    reader = PcapngReader(folder / "out" / "captures" / f"{engine}.pcapng")
    for packets in reader:
        seen = decode(packets)
        for row in np.flatnonzero(seen.rtp & (seen.src_mac == mac)):
            name = reader.interfaces[int(packets.interface[row])].name
            count += name == f"{card.switch}:{card.port}"
    return count


@on_request
def test_a_second_machine_that_is_switched_off_is_named(
    machines: tuple[Machine, Machine], tmp_path: Path
) -> None:
    one, two = machines
    # given a campaign on two machines whose users have registered
    campaign = _campaign(one, tmp_path, "--duration", "20", "--profile", "monday-morning", "--web")
    carried = _carry_over(campaign, tmp_path)
    generator = _generator(two, tmp_path, carried)
    notes = tmp_path / "out" / "campaign" / "load2.accounts.jsonl"

    def look() -> bool | None:
        assert generator.poll() is None, generator.communicate()[0]
        return True if notes.exists() and notes.read_text() else None

    block_until(look, what="records of the second machine", deadline_s=60, every_s=0.05)
    # and locust's page is there, on the loopback of the lab's machine
    page = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8089/', timeout=10).status)"
    assert one.run(sys.executable, "-c", page).strip() == "200"
    # when the second one is switched off
    two.off()
    generator.communicate(timeout=20)
    # then the campaign goes on to its end, and the finding names the generator
    campaign.communicate(timeout=200)
    assert campaign.returncode == 1
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    finding = _finding(results, "load.generators", "load2")
    assert (finding["verdict"], finding["blame"]) == ("fail", "load2")
    assert "lost before it signed off" in finding["observed"]
