"""Phones and calls when the line, and with it the address, changes, and when a data centre is lost.

With the real programs, in `failover_scene`, which is played once.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.integration.cloud_plan import HOST
from tests.integration.cloud_played import ROOT
from tests.integration.cloud_sandbox import UNSHARE
from tests.integration.failover_network import HOST2

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("failover")]

SCENE = (*UNSHARE, sys.executable, "-m", "tests.integration.failover_scene")
SCENE_S = 170
PHONES = ("desk1", "desk2", "soft1")
LIMIT_S = 10.0
"""New registrations are to be there within 10 s."""
FLOWING = 45
"""Packets a second, of 50, that count as a stream that goes on."""
BOTH = [True, True]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("failover")
    done = subprocess.run(
        [*SCENE, str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=SCENE_S, check=False
    )
    logs = "".join(f"\n== {log}\n{log.read_text()[-1500:]}" for log in folder.glob("*/services/*/output.log"))
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}{logs}"
    observations: dict[str, Any] = json.loads((folder / "observations.json").read_text())
    return observations


# Another line, another address


@pytest.mark.req("V2", "W9")
@pytest.mark.parametrize("phone", PHONES)
def test_phone_detects_that_its_address_changed_and_re_registers(seen: dict[str, Any], phone: str) -> None:
    line = seen["other line"]
    assert line["lost_s"][phone] < LIMIT_S
    assert line["lost_s"][phone] < line["registered_s"][phone] < LIMIT_S


@pytest.mark.req("V2", "W9")
@pytest.mark.parametrize("call", ["out", "between"])
def test_media_goes_on_in_both_directions_from_the_other_address(seen: dict[str, Any], call: str) -> None:
    assert min(seen["other line"]["flowing"][call]) >= FLOWING


@pytest.mark.req("V2", "W9")
def test_the_relay_follows_the_address_before_any_signalling(seen: dict[str, Any]) -> None:
    # given a second that began with the cut
    assert min(seen["other line"]["before"]) >= FLOWING


@pytest.mark.req("V2", "C1.2")
@pytest.mark.parametrize("phone", ["pstn", "desk1", "desk2", "soft1"])
def test_requests_within_a_call_find_phones_that_re_registered(seen: dict[str, Any], phone: str) -> None:
    assert seen["other line"][f"asked by {phone}"] == "answered"


@pytest.mark.req("V2")
def test_the_end_of_a_kept_call_and_new_calls_reach_the_phones(seen: dict[str, Any]) -> None:
    assert seen["other line"]["ended"] == "call-closed"
    assert seen["other line"]["new call"] == BOTH


@pytest.mark.req("V2")
@pytest.mark.parametrize("phone", PHONES)
def test_phone_re_registers_when_the_first_line_is_back(seen: dict[str, Any], phone: str) -> None:
    assert seen["line restored"]["registered_s"][phone] < LIMIT_S


@pytest.mark.req("C9.4")
def test_forged_packets_disturb_a_stream_but_do_not_keep_it(seen: dict[str, Any]) -> None:
    # given a second in which somebody without the keys sent to every port of the relay like the phones:
    # rtpengine follows addresses before it authenticates, the price of the hand-over
    forged = seen["forged"]
    assert forged["ports"] >= 8
    # then some of the (encrypted) media went astray, and none any more with the phones' next packets
    assert min(forged["flowing"]) > 0
    assert min(forged["after"]) >= FLOWING


# Another data centre


@pytest.mark.req("V2", "C6.2")
@pytest.mark.parametrize("phone", PHONES)
def test_phone_registers_at_the_other_data_centre_when_the_first_is_lost(
    seen: dict[str, Any], phone: str
) -> None:
    assert seen["data centre"]["registered_s"][phone] < LIMIT_S


@pytest.mark.req("V2", "C6.3")
def test_calls_are_placed_by_the_other_data_centre(seen: dict[str, Any]) -> None:
    assert seen["data centre"]["calls"] == {"desk to desk": BOTH, "soft to pstn": BOTH}


@pytest.mark.req("V2", "C6.3")
def test_phone_goes_back_without_losing_its_call(seen: dict[str, Any]) -> None:
    there = seen["data centre"]
    # given a call by the second data centre while the first returned
    assert set(there["back_s"]) == set(PHONES)
    assert all(there["back_s"].values())
    # then media went on, the call's phones stayed registered at both, and requests were answered to its end
    assert min(there["flowing"]) >= FLOWING
    assert there["at both"] == {"desk1": [HOST, HOST2], "soft1": [HOST, HOST2]}
    assert (there["asked by soft1"], there["asked by desk1"]) == ("answered", "answered")
    assert there["ended"] == "call-closed"
    # and only then did they leave the second
    assert all(there["left_s"].values())
    assert there["in the end"] == {phone: [HOST] for phone in PHONES}
    assert there["call at the first"] == BOTH


@pytest.mark.req("C6.3")
@pytest.mark.parametrize("call", ["near to far", "far to near", "far to soft", "pstn to far", "far to pstn"])
def test_a_call_crosses_from_one_data_centre_to_the_other(seen: dict[str, Any], call: str) -> None:
    assert seen["two data centres"][call] == BOTH


@pytest.mark.req("C6.3")
def test_requests_within_a_call_cross_too(seen: dict[str, Any]) -> None:
    across = seen["two data centres"]
    assert (across["asked by far"], across["asked by near"]) == ("answered", "answered")
    assert across["ended"] == "call-closed"


@pytest.mark.req("C6.3")
def test_who_is_registered_nowhere_is_not_looked_for_in_circles(seen: dict[str, Any]) -> None:
    assert seen["two data centres"]["to nobody"] == "480 Not Registered"
