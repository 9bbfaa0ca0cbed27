"""A home office behind a router and a modem in bridge mode: the modem passes everything on, also the silence
of a cut line (N5, W9)."""

from __future__ import annotations

import pytest

from tests.integration.labs import UclabCommand, lab_of_module

pytestmark = [pytest.mark.root, pytest.mark.req("N5", "W9")]

CLOUD = "198.18.10.11"
"""The session controller in the topology's data centre."""


uclab = lab_of_module("soho-bridge-modem", "soho")


def reached(uclab: UclabCommand) -> bool:
    """Whether the cloud answers a PC at home."""
    ping = ("ping", "-c", "5", "-i", "0.1", "-W", "2", CLOUD)
    return uclab("exec", "--name", "soho", "pc1", *ping, status=None).returncode == 0


def plugged_in(uclab: UclabCommand) -> bool:
    """Whether the router's own cable, to the modem, has a carrier."""
    said = uclab("exec", "--name", "soho", "router", "ip", "link", "show", "dsl1").stdout
    return "LOWER_UP" in said


def test_router_does_not_detect_that_the_line_behind_its_modem_is_cut(uclab: UclabCommand) -> None:
    # given a home that reaches the cloud through modem and line
    assert reached(uclab)
    # when the line is cut, then nothing comes back, although the router's cable is plugged in
    uclab("fail", "--name", "soho", "router-isp1")
    assert not reached(uclab)
    assert plugged_in(uclab)
    # when it is healed, then the cloud is there again
    uclab("heal", "--name", "soho", "router-isp1")
    assert reached(uclab)
