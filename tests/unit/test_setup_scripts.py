"""The set-up scripts: where they fetch from, and which packages they ask for. apt is played by a script."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

CI = Path(__file__).parents[2] / "ci"

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
        ["bash", "-c", f". {CI}/environment.sh; {command}"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("script", sorted(CI.glob("*.sh")), ids=lambda path: path.name)
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
    for packages in (CI / "packages").glob("*.txt"):
        names = in_environment(tmp_path, f"names_in {packages}", repositories=DEBIAN).split()
        assert len(names) == len(set(names)), packages
