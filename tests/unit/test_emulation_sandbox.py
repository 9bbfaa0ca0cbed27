"""How programs of devices are confined."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from uclab.emulation.linux import sandbox
from uclab.emulation.linux.sandbox import Sandbox, command


def bound(argv: list[str]) -> dict[str, str]:
    """What is bound read-only: inside to outside."""
    starts = [number for number, word in enumerate(argv) if word == "--ro-bind"]
    return {argv[start + 2]: argv[start + 1] for start in starts}


def test_checkout_below_a_hidden_folder_is_still_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a checkout below /tmp, which every program has fresh and empty
    monkeypatch.setattr(sandbox, "PACKAGES", Path("/tmp/checkout"))
    # when a program of the host is started, then the checkout is bound into it, after the fresh /tmp
    argv = command(Sandbox("host"), ["python", "-m", "uclab.lab.remains"], 9)
    assert bound(argv)["/tmp/checkout"] == "/tmp/checkout"
    assert argv.index("/tmp/checkout") > argv.index("/tmp")
    # and a program of the device image does not see it
    assert "/tmp/checkout" not in command(Sandbox("device"), ["baresip"], 9)


def test_uclab_in_a_users_private_home_is_seen_and_nothing_else_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given what `uv tool install` makes in a home of mode 0700, which no program without capabilities enters
    tool = "/home/alice/.local/share/uv/tools/uclab"
    monkeypatch.setattr(sandbox, "PACKAGES", Path(f"{tool}/lib/python3.12/site-packages"))
    monkeypatch.setattr(sys, "prefix", tool)
    # when a program of the host is started
    seen = bound(command(Sandbox("host"), ["python"], 9))
    # then it sees uclab and its environment, on folders that bubblewrap makes, and no home
    assert {tool, f"{tool}/lib/python3.12/site-packages"} <= set(seen)
    assert not {"/home", "/root"} & set(seen)


def test_python_that_is_a_link_to_a_link_is_seen_at_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given an environment whose Python is a link through `3.12` to the installation `3.12.11`
    monkeypatch.setattr(sandbox, "_HIDDEN", frozenset({tmp_path.parts[1]}))
    for folder in ("3.12.11/bin", "environment/bin"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "3.12.11/bin/python3.12").touch()
    (tmp_path / "3.12").symlink_to("3.12.11")
    (tmp_path / "environment/bin/python").symlink_to(tmp_path / "3.12/bin/python3.12")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "environment/bin/python"))
    # when a program of the host is started, then the link leads somewhere
    assert str(tmp_path / "3.12") in bound(command(Sandbox("host"), ["python"], 9))


def test_programs_have_no_capabilities_but_those_given() -> None:
    argv = command(Sandbox("device", capabilities=("CAP_NET_ADMIN",)), ["zebra"], 9)
    assert argv[argv.index("--cap-drop") + 1] == "ALL"
    assert argv[argv.index("--cap-add") + 1] == "CAP_NET_ADMIN"
    assert "--cap-add" not in command(Sandbox("device"), ["baresip"], 9)
