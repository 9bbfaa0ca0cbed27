"""The set-up scripts: where they fetch from, which packages they ask for, how their parts run and end. apt
and the parts are played by scripts."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SETUP = PROJECT / "uclab" / "setup"
SCRIPTS = sorted([*SETUP.glob("*.sh"), *(PROJECT / "ci").glob("*.sh")])
LISTS = sorted([*(SETUP / "packages").glob("*.txt"), *(PROJECT / "ci").glob("*-packages.txt")])

DEBIAN = """\
Debian|http://mirror.example/debian/|Debian
Debian|http://mirror.example/debian-security/|Debian-Security
Somebody|https://packages.example/|Tools
"""
UBUNTU = "Ubuntu|http://archive.example/ubuntu/|Ubuntu\n"


def in_environment(tmp_path: Path, command: str, *, repositories: str, **variables: str) -> str:
    """Output of a shell command after `environment.sh`, on a host whose apt knows these repositories."""
    (tmp_path / "repositories").write_text(repositories)
    (tmp_path / "apt-get").write_text(f"#!/bin/sh\n[ $1 != indextargets ] || cat {tmp_path}/repositories\n")
    (tmp_path / "apt-get").chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", f". {SETUP}/environment.sh; {command}"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_script_is_valid_shell(script: Path) -> None:
    done = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_images_come_from_the_mirror_of_the_hosts_apt(tmp_path: Path) -> None:
    sources = in_environment(tmp_path, "debian_sources trixie", repositories=DEBIAN)

    assert sources.splitlines() == [
        "deb http://mirror.example/debian trixie main",
        "deb http://mirror.example/debian trixie-updates main",
        "deb http://mirror.example/debian-security trixie-security main",
    ]


def test_host_that_is_not_debian_gets_debians_public_address(tmp_path: Path) -> None:
    sources = in_environment(tmp_path, "debian_sources trixie", repositories=UBUNTU)

    assert "deb http://deb.debian.org/debian trixie main" in sources.splitlines()
    assert "archive.example" not in sources


def test_named_mirror_goes_before_the_hosts(tmp_path: Path) -> None:
    sources = in_environment(
        tmp_path,
        "debian_sources trixie",
        repositories=DEBIAN,
        UCLAB_DEBIAN_MIRROR="http://here.example/debian",
    )

    assert sources.splitlines()[0] == "deb http://here.example/debian trixie main"


def test_package_lists_name_each_package_once_without_remarks(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("# remark\nsocat\n\nacl # why\n")

    assert in_environment(tmp_path, f"names_in {tmp_path}/list.txt", repositories=DEBIAN).split() == [
        "acl",
        "socat",
    ]
    for packages in LISTS:
        names = in_environment(tmp_path, f"names_in {packages}", repositories=DEBIAN).split()
        assert len(names) == len(set(names)), packages


def setup_with(folder: Path, **parts: str) -> list[str]:
    """The command of a set-up whose parts are these; `id` and `apt-get` let anybody run it."""
    folder.mkdir(exist_ok=True)
    for name in ("setup.sh", "environment.sh"):
        shutil.copy(SETUP / name, folder)
    for name in ("packages", "device-image", "container-images"):
        text = parts.pop(name.replace("-", "_"), "")
        (folder / f"{name}.sh").write_text(f". {folder}/environment.sh\n{text}\n")
    for name, answer in (("id", "echo 0"), ("apt-get", "")):
        (folder / name).write_text(f"#!/bin/sh\n{answer}\n")
        (folder / name).chmod(0o755)
    return [
        "env",
        "--default-signal=INT",  # a shell's background programs ignore it
        f"PATH={folder}:{os.environ['PATH']}",
        f"UCLAB_STATE={folder}/state",
        "bash",
        f"{folder}/setup.sh",
    ]


def test_images_are_built_after_the_packages_and_beside_further_parts(tmp_path: Path) -> None:
    order = tmp_path / "order"
    further = tmp_path / "further.sh"
    further.write_text(f"echo further >>{order}")
    command = setup_with(
        tmp_path / "setup",
        packages=f"echo packages >>{order}",
        device_image=f"echo device >>{order}",
        container_images=f"echo containers >>{order}",
    )

    done = subprocess.run([*command, further], capture_output=True, text=True, check=True)

    first, *others = order.read_text().split()
    assert (first, sorted(others)) == ("packages", ["containers", "device", "further"])
    assert done.stdout + done.stderr == ""


def test_part_that_fails_is_named_and_the_others_are_seen_to_their_end(tmp_path: Path) -> None:
    command = setup_with(
        tmp_path, device_image="exit 5", container_images=f"sleep 0.2; touch {tmp_path}/built"
    )

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr == "setup: failed: device-image (the messages are above)\n"
    assert (tmp_path / "built").exists()


def test_no_image_is_built_where_packages_are_missing(tmp_path: Path) -> None:
    command = setup_with(tmp_path, packages="exit 100", device_image=f"touch {tmp_path}/built")

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert not (tmp_path / "built").exists()


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_interrupted_set_up_ends_its_parts_and_waits_for_them(
    tmp_path: Path, sent: signal.Signals, status: int
) -> None:
    # given a set-up in the midst of an image, whose builder cleans up when it is told to end
    builder = f"trap 'rm {tmp_path}/half' EXIT; touch {tmp_path}/half; echo begun >&2; sleep 60"
    command = setup_with(tmp_path / "setup", device_image=builder)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert process.stderr.readline() == "begun\n"
    # when it is interrupted
    process.send_signal(sent)
    # then it ends when its parts have, and nothing half made is left
    assert "interrupted; what was complete stays" in process.stderr.read()
    assert process.wait(timeout=20) == status
    assert not (tmp_path / "half").exists()


def test_check_says_which_packages_are_missing_and_installs_none(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("socat\nacl\n")
    for name, text in (("dpkg-query", "echo 'ii  acl'"), ("apt-get", f"touch {tmp_path}/used")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "UCLAB_SETUP_CHECK": "1"}

    done = subprocess.run(
        ["bash", SETUP / "packages.sh", tmp_path / "list.txt"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "to do: install socat\n"
    assert not (tmp_path / "used").exists()
