"""The wheel, as a user without the checkout has it: in an environment and a folder of one's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from uclab.api import plan_of
from uclab.model.load import reference_topologies
from uclab.plan.schema.codec import plan_to_json

PROJECT = Path(__file__).parents[2]
NOBODY = 65534
SHIPPED = ("uclab", "campaigns", "controllers", "endpoints_emu", "cloud_core", "topologies")
PACKAGES = SHIPPED[:-1]

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel in it, and a user's folder elsewhere, private as Debian makes a home."""

    wheel: Path
    environment: Path
    folder: Path

    def run(
        self, program: str, *arguments: str, status: int = 0, variables: Mapping[str, str] | None = None
    ) -> str:
        """Standard output of a program of the environment, started in the user's folder."""
        done = subprocess.run(
            [self.environment / "bin" / program, *arguments],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], **(variables or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout


def uv(*arguments: str | Path) -> None:
    """Run the checkout's uv: from its cache, and with the network where that lacks something."""
    (program,) = (PROJECT / ".cache").glob("uv-*/bin/uv")
    environment = {**os.environ, "UV_SYSTEM_CERTS": "1", "UV_LINK_MODE": "copy"}
    command = [program, *arguments]
    if subprocess.run([*command, "--offline"], env=environment, capture_output=True, check=False).returncode:
        subprocess.run(command, env=environment, check=True)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel in a fresh environment; what it depends on is taken from the checkout's."""
    top = tmp_path_factory.mktemp("wheel")
    uv("build", "--wheel", "--out-dir", top / "dist", PROJECT)
    (wheel,) = (top / "dist").glob("*.whl")
    uv("venv", "--python", sys.executable, top / "environment")
    uv("pip", "install", "--no-deps", "--python", top / "environment/bin/python", wheel)
    (packages,) = (top / "environment" / "lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    (top / "mine").mkdir(mode=0o700)
    os.chown(top / "mine", NOBODY, NOBODY)
    return Installed(wheel, top / "environment", top / "mine")


def test_wheel_holds_every_file_of_the_packages(installed: Installed) -> None:
    here = {
        str(file.relative_to(PROJECT))
        for folder in SHIPPED
        for file in (PROJECT / folder).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    there = set(zipfile.ZipFile(installed.wheel).namelist())

    moved = {f"uclab/{name}" if name.startswith("topologies/") else name for name in here}
    assert moved == {name for name in there if ".dist-info/" not in name}


def test_packages_are_those_of_the_environment(installed: Installed) -> None:
    files = installed.run("python", "-c", f"import {', '.join(PACKAGES)}; print(controllers.__file__)")

    assert Path(files.strip()).is_relative_to(installed.environment)


def test_reference_topology_means_what_it_means_in_the_checkout(installed: Installed) -> None:
    assert installed.run("uclab", "check", "small-office").startswith("small-office: valid ")
    assert installed.run("uclab", "plan", "small-office", "--json") == plan_to_json(plan_of("small-office"))


def test_all_reference_topologies_are_there(installed: Installed) -> None:
    listed = json.loads(installed.run("uclab", "topologies", "--json"))

    assert [row["name"] for row in listed] == list(reference_topologies())


def test_pytest_finds_the_plugin(installed: Installed) -> None:
    assert "@pytest.mark.lab(topology" in installed.run("python", "-m", "pytest", "--markers")


def test_set_up_has_nothing_to_do_where_the_checkout_was_set_up(installed: Installed) -> None:
    # given a machine that the checkout's scripts have made ready
    subprocess.run(["uclab/setup/setup.sh"], cwd=PROJECT, check=True, capture_output=True)
    # when the wheel's recipes are followed, then they ask for the same images, and nothing is made
    assert installed.run("uclab", "setup") == "nothing was missing\n"


def test_set_up_knows_what_is_missing(installed: Installed, tmp_path: Path) -> None:
    bare = {"UCLAB_STATE": str(tmp_path / "state")}

    todo = installed.run("uclab", "setup", "--check", status=1, variables=bare)

    assert todo.startswith("build image device-")
    assert not (tmp_path / "state").exists()


def test_lab_of_the_wheel_is_made_of_nothing_in_its_users_folder(installed: Installed) -> None:
    # given a folder in which the user has packages of the same names
    for name in PACKAGES:
        (installed.folder / name).mkdir()
        (installed.folder / name / "__init__.py").write_text("raise SystemExit('not this one')")
    # when a lab is brought up there, then a call gets through
    lab = f"wheel-{os.getpid()}"
    installed.run("uclab", "up", "small-office", "--name", lab, "--out", "run")
    try:
        assert "desk1 → desk2: heard" in installed.run("uclab", "call", "desk1", "desk2", "--name", lab)
    finally:
        installed.run("uclab", "down", "--name", lab)
