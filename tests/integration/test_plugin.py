"""A package of somebody else's adds an endpoint kind with its driver, a cloud service, a check and a fault
(tests/plugin)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.labs import UclabCommand

pytestmark = [pytest.mark.root, pytest.mark.req("E1.1", "D1", "D4")]

PROJECT = Path(__file__).parents[2]
PSTN = '  pstn: {numbers: ["+493055501001"]}\n'
BOOK = "  services:\n    - {name: book, service: phone-book, settings: {title: Office}}\n"
WALL_PHONE = "\n      - {name: wall1, kind: wall-phone, port: sw1/3, number: 204}"


@pytest.fixture(scope="module")
def uclab(tmp_path_factory: pytest.TempPathFactory) -> UclabCommand:
    """The command where the package is installed, beside a topology with a wall phone."""
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(PROJECT / "tests" / "plugin", folder / "source")
    (uv,) = list((PROJECT / ".cache").glob("uv-*/bin/uv"))[:1]
    subprocess.run(
        [
            *(uv, "pip", "install", "--quiet", "--no-deps", "--python", sys.executable),
            *("--target", folder / "site", folder / "source"),
        ],
        check=True,
    )
    office = (PROJECT / "topologies" / "small-office.yaml").read_text()
    last = next(line for line in office.splitlines() if "name: soft1" in line)
    office = office.replace(last, last + WALL_PHONE).replace(PSTN, PSTN + BOOK)
    (folder / "walls.yaml").write_text(office)
    command = UclabCommand(folder)
    command.environment["PYTHONPATH"] = str(folder / "site")
    command("setup")
    return command


def judged(
    uclab: UclabCommand, name: str, *options: str, meanwhile: Callable[[], None] = lambda: None
) -> dict[str, dict[str, str]]:
    """The findings of a lab in which the wall phone has a call, by id and subject, that concern it."""
    out = uclab.folder / name
    uclab("up", "walls.yaml", "--name", name, "--out", str(out), *options)
    try:
        uclab("call", "wall1", "desk1", "--name", name)
        meanwhile()
    finally:
        uclab("down", "--name", name)
    uclab("judge", str(out), status=None)
    found = json.loads((out / "results.json").read_text())["findings"]
    return {f"{one['id']} {one['subject']}": one for one in found}


def test_without_the_package_the_kind_is_refused_with_what_there_is(uclab: UclabCommand) -> None:
    plain = UclabCommand(uclab.folder)
    plain.environment = {**os.environ, "UCLAB_LABS": uclab.environment["UCLAB_LABS"]}
    done = plain("check", "walls.yaml", status=2)
    assert "found `wall-phone`; allowed: one of `desk-phone`, `softclient`" in done.stderr + done.stdout


def test_a_lab_runs_with_the_kind_and_the_service_and_the_check_holds(uclab: UclabCommand) -> None:
    def look_at_the_book() -> None:
        """From the voice VLAN through the site's firewall: by name, and with the lab's own authority."""
        page = "https://book.ucaas.test:8443/"
        authority = str(uclab.folder / "clean" / "pki" / "ca.pem")
        done = uclab("exec", "wall1", "--name", "clean", "--", "curl", "-sS", "--cacert", authority, page)
        assert "<h1>Office</h1>" in done.stdout
        assert "204" in done.stdout

    found = judged(uclab, "clean", meanwhile=look_at_the_book)
    assert found["wall-phone.codec wall1"]["verdict"] == "pass"
    assert not [one for one in found.values() if one["verdict"] == "fail"]


def test_its_fault_breaks_its_check_and_nothing_else(uclab: UclabCommand) -> None:
    found = judged(uclab, "wrong", "--fault", "wall-phone-codec")
    failed = {name: one["blame"] for name, one in found.items() if one["verdict"] == "fail"}
    assert failed == {"wall-phone.codec wall1": "wall1"}
