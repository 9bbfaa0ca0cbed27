"""How programs of devices are confined."""

from __future__ import annotations

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
    argv = command(Sandbox("host"), ["python", "-m", "endpoints_emu.pjsua.agent"], 9)
    assert bound(argv)["/tmp/checkout"] == "/tmp/checkout"
    assert argv.index("/tmp/checkout") > argv.index("/tmp")
    # and a program of the device image does not see it
    assert "/tmp/checkout" not in command(Sandbox("device"), ["baresip"], 9)


def test_programs_have_no_capabilities_but_those_given() -> None:
    argv = command(Sandbox("device", capabilities=("CAP_NET_ADMIN",)), ["zebra"], 9)
    assert argv[argv.index("--cap-drop") + 1] == "ALL"
    assert argv[argv.index("--cap-add") + 1] == "CAP_NET_ADMIN"
    assert "--cap-add" not in command(Sandbox("device"), ["baresip"], 9)
