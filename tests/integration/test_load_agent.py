"""The load agent against the lab's own Kamailio, rtpengine and phones, inside the lab: `load_agent_scene`."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from endpoints_emu import audio
from tests.integration.labs import UclabCommand
from uclab import api

pytestmark = [pytest.mark.root, pytest.mark.req("D11")]
PROJECT = Path(__file__).resolve().parents[2]
TONES = (1150, 1250)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The scene, played in the softclient's node; `recordings`: what the desk phone kept."""
    uclab = UclabCommand(tmp_path_factory.mktemp("load"))
    plan = api.plan_of("small-office")
    endpoints = {endpoint.name: endpoint for endpoint in plan.endpoints}
    controller, peer = plan.session_controllers[0], plan.pstn_peers[0]
    node = next(node for node in plan.nodes if node.name == "soft1")
    run = uclab.folder / "run"
    order = {
        "host_name": controller.host_name,
        "address": controller.address,
        "port": endpoints["soft1"].registrar_port,
        "ca": str(run / "pki" / "ca.pem"),
        "local": str(node.interfaces[0].addresses[0]).partition("/")[0],
        "accounts": [dataclasses.asdict(endpoints[name].account) for name in ("soft1", "desk2")],
        "tones": TONES,
        "desk": endpoints["desk1"].account.user,
        "desk_hz": endpoints["desk1"].tone_hz,
        "number": peer.numbers[0],
        "number_hz": peer.endpoint.tone_hz,
    }
    (uclab.folder / "order.json").write_text(json.dumps(order))
    result = uclab.folder / "seen.json"
    try:
        uclab("up", "small-office", "--name", "load", "--out", str(run))
        uclab.environment["PYTHONPATH"] = f"{PROJECT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        scene = (sys.executable, "-m", "tests.integration.load_agent_scene")
        uclab("exec", "--name", "load", "soft1", "--", *scene, str(uclab.folder / "order.json"), str(result))
    finally:
        uclab("down", "--name", "load", status=None)
    found: dict[str, Any] = json.loads(result.read_text())
    found["recordings"] = sorted((run / "endpoints" / "desk1").rglob("*.wav"))
    return found


@pytest.mark.req("C9.1")
def test_agent_registers_over_verified_tls_and_only_with_its_password(seen: dict[str, Any]) -> None:
    assert [attempt["status"] for attempt in seen["registered"]] == [200, 200]
    assert all(0 < attempt["delay_s"] < attempt["whole_s"] < 5 for attempt in seen["registered"])
    assert [attempt["status"] for attempt in seen["unregistered"]] == [200, 200]
    assert seen["wrong password"]["status"] == 403
    assert (seen["other name"]["status"], "Hostname mismatch" in seen["other name"]["why"]) == (0, True)


@pytest.mark.req("C9.4")
@pytest.mark.parametrize("way", ["to the desk", "from the desk", "to the telephone network", "to an agent"])
def test_media_is_authenticated_srtp_in_both_directions(seen: dict[str, Any], way: str) -> None:
    media = seen[way]["media"]
    assert media["encrypted"]
    assert media["sent"] > 40
    assert media["received"] > 40
    assert (media["authentication_failures"], media["malformed"]) == (0, 0)
    assert media["lost"] <= 0.02 * media["received"]
    assert seen[way]["attempt"]["completed"]


@pytest.mark.parametrize("way", ["to the desk", "from the desk", "to the telephone network"])
def test_tone_of_the_phone_is_heard(seen: dict[str, Any], way: str) -> None:
    assert seen[way]["heard"]["heard"], seen[way]["heard"]
    assert seen[way]["media"]["signal_packets"] == 0


def test_the_desk_phone_heard_both_agents(seen: dict[str, Any]) -> None:
    for hz in TONES:
        assert any(audio.listen(file, hz).heard for file in seen["recordings"]), (hz, seen["recordings"])


def test_agents_hear_each_other_through_the_relay_packet_by_packet(seen: dict[str, Any]) -> None:
    media = seen["to an agent"]["media"]
    assert media["speakers"] == [seen["to an agent"]["speaker"]]
    assert media["other_packets"] == 0
    assert media["out_of_order"] == 0


def test_number_that_is_nobodys_is_refused(seen: dict[str, Any]) -> None:
    assert seen["to nobody"] == 404
