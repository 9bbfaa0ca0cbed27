"""What a softclient's process is told, and how it names failures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from endpoints_emu.events import Refusal
from endpoints_emu.pjsua import stack
from endpoints_emu.pjsua.phone import agent_settings
from endpoints_emu.pjsua.settings import AgentSettings
from tests.unit.test_endpoints_baresip import DESK1

SOFT1 = replace(DESK1, name="soft1", kind="softclient", driver="pjsua2", registrar_port=5097)


def test_settings_come_back_as_they_were_written(tmp_path: Path) -> None:
    settings = agent_settings(SOFT1, ("198.18.0.53",))
    settings.write(tmp_path / "agent.json")
    assert AgentSettings.read(tmp_path / "agent.json") == settings


@pytest.mark.req("C9", "E7")
def test_a_softclient_verifies_its_server_and_speaks_srtp_only() -> None:
    settings = agent_settings(SOFT1, ())
    assert (settings.verify_server, settings.encrypt_media) == (True, True)
    assert settings.proxy_uris == ("sip:sip.ucaas.test:5097;transport=tls;lr",)
    assert settings.registrar_uri == "sip:ucaas.test;transport=tls"


def test_a_softclient_for_a_drill_sends_plain_rtp_or_trusts_anybody() -> None:
    assert not agent_settings(replace(SOFT1, media_encryption="none"), ()).encrypt_media
    assert not agent_settings(replace(SOFT1, verify_server=False), ()).verify_server


@pytest.mark.parametrize(
    ("code", "reason", "refusal"),
    [
        (401, "Unauthorized", Refusal.CREDENTIALS),
        (403, "Forbidden", Refusal.CREDENTIALS),
        (404, "Not Found", Refusal.REJECTED),
        (408, "Request Timeout", Refusal.TIMEOUT),
        (502, 'DNS "Name Error" (PJLIB_UTIL_EDNS_NXDOMAIN)', Refusal.NAME),
        (503, "Connection refused", Refusal.UNREACHABLE),
    ],
)
def test_a_failed_registration_has_a_ground(code: int, reason: str, refusal: Refusal) -> None:
    assert stack.refusal(code, reason) == (refusal, f"{code} {reason}")
