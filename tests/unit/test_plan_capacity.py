"""Need and room of WAN lines: in kbit/s, in calls, and what is full first."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from uclab import api
from uclab.cli.main import app
from uclab.model.load import LoadedTopology, load_topology
from uclab.model.profile import LinkProfile
from uclab.model.traffic import CallTraffic
from uclab.plan.capacity.calls_per_line import capacity
from uclab.plan.capacity.line_capacity import Capacity, LineCapacity
from uclab.plan.faults.catalogue import FAULTS
from uclab.plan.planner import make_plan

pytestmark = pytest.mark.req("C8", "Q2")

OFFICE = load_topology("small-office")
HEADQUARTERS = load_topology("enterprise-hq")
PROJECT = Path(__file__).parents[2]


def computed(loaded: LoadedTopology) -> Capacity:
    return capacity(loaded, make_plan(loaded))


def with_line(loaded: LoadedTopology, up: int, down: int | None = None, **more: Any) -> LoadedTopology:
    """The topology with lines of these rates, kbit/s."""
    profiles: dict[str, LinkProfile] = {}
    for name, profile in loaded.profiles.items():
        sent = profile.up.model_copy(update={"rate_kbps": up})
        received = profile.down.model_copy(update={"rate_kbps": down or up})
        profiles[name] = profile.model_copy(update={"up": sent, "down": received, **more})
    return replace(loaded, profiles=profiles)


def with_traffic(loaded: LoadedTopology, traffic: Mapping[str, Any]) -> LoadedTopology:
    """The topology whose policy says this of its calls."""
    said = CallTraffic.model_validate(traffic)
    return replace(loaded, policy=loaded.policy.model_copy(update={"traffic": said}))


def only_line(loaded: LoadedTopology) -> LineCapacity:
    (line,) = computed(loaded).lines
    return line


QUIET = {"calls_per_hour": 0, "registration_bytes": 0}
"""No signalling."""


def test_line_of_2_mbps_guarantees_twelve_calls_of_g711() -> None:
    # given three endpoints on 2 Mbit/s, of which the router shapes to 97 % and guarantees 60 % to voice
    line = only_line(OFFICE)
    # then 1164 kbit/s hold twelve streams of 89.8 kbit/s, and the three have room
    up, down = line.directions
    assert (up.way, up.device, up.interface, up.rate_kbps) == ("up", "edge", "wan1", 1940)
    assert (down.way, down.device, down.rate_kbps) == ("down", "isp1", 2000)
    assert (line.calls, up.calls, up.full_first, up.full_next) == (3, 12, "voice", "signalling")
    voice = up.queues[0]
    assert voice.guaranteed_kbps == 1164
    assert voice.need_kbps == pytest.approx(3 * 89.824)
    assert voice.room_kbps == pytest.approx(1164 - 3 * 89.824)
    assert not line.shortage


@pytest.mark.parametrize(
    ("rate_kbps", "traffic", "guaranteed", "borrowing"),
    [
        (2000, {}, 12, 18),
        (5000, {}, 32, 45),
        (20000, {}, 129, 183),
        (2000, {"codec": "Opus", "opus_kbps": 24}, 23, 33),
        (5000, {"codec": "Opus", "opus_kbps": 24}, 58, 82),
        (20000, {"codec": "Opus", "opus_kbps": 24}, 233, 330),
    ],
)
def test_calls_of_access_lines(
    rate_kbps: int, traffic: Mapping[str, Any], guaranteed: int, borrowing: int
) -> None:
    voice = (
        only_line(with_traffic(with_line(OFFICE, rate_kbps), {**QUIET, **traffic})).directions[0].queues[0]
    )
    assert (voice.calls, voice.calls_borrowing) == (guaranteed, borrowing)
    # by hand: guaranteed 60 % of 97 %; borrowing what 15 % for everything else leave
    per_call = {"Opus": 49.824}.get(str(traffic.get("codec")), 89.824)
    assert guaranteed == int(rate_kbps * 0.97 * 0.60 / per_call)
    assert borrowing == int(rate_kbps * 0.97 * 0.85 / per_call)


def test_every_line_is_counted_where_its_queue_stands() -> None:
    for direction in only_line(HEADQUARTERS).directions:
        assert direction.need_kbps == pytest.approx(sum(q.need_kbps for q in direction.queues))
        assert direction.queues[2].name == "signalling"
        assert direction.queues[2].need_kbps > 0
        assert direction.queues[1].calls is None, "no video is computed"


def test_signalling_is_full_first_where_phones_register_all_at_once() -> None:
    loaded = with_traffic(OFFICE, {"registration_spread_s": 1, "simultaneous_pct": 1})
    up = only_line(loaded).directions[0]
    assert (up.full_first, up.full_next) == ("signalling", "line")
    assert up.calls == 0


def test_one_queue_for_everything_is_said_to_be_one() -> None:
    up, down = only_line(with_line(OFFICE, 2000, honours_classes=False)).directions
    assert up.kept_apart
    assert not down.kept_apart
    assert down.full_next is None
    (everything,) = down.queues
    signalling = 6 * 4000 * 8 / 3600 / 1000 + 5000 * 8 / 4 / 1000
    assert everything.per_call_kbps == pytest.approx(89.824 + signalling)
    assert down.calls == int(2000 / (89.824 + signalling)) == 20
    assert everything.need_kbps == pytest.approx(down.need_kbps)
    assert everything.calls_borrowing == everything.calls


@pytest.mark.req("W6")
def test_line_under_an_overlay_carries_fewer_calls() -> None:
    # given a site whose lines carry nothing but tunnels, and the same lines without
    inside = computed(load_topology("sd-wan")).lines
    loaded = load_topology("sd-wan")
    (site,) = loaded.topology.sites
    plain = site.model_copy(update={"sd_wan": None})
    outside = computed(replace(loaded, topology=loaded.topology.model_copy(update={"sites": (plain,)}))).lines
    # then a call takes 66 bytes a packet more, its signalling a sixth, and fewer calls fit
    for tunnel, line in zip(inside, outside, strict=True):
        rtcp = 66 * 8 / 5000
        assert tunnel.per_call_kbps == pytest.approx(line.per_call_kbps + 66 * 8 / 20 + rtcp)
        for with_tunnel, without in zip(tunnel.directions, line.directions, strict=True):
            signalling = (with_tunnel.need_kbps - 3 * tunnel.per_call_kbps) / (
                without.need_kbps - 3 * line.per_call_kbps
            )
            assert signalling == pytest.approx(466 / 400)
            assert with_tunnel.calls < without.calls


def test_site_says_how_many_call_at_once() -> None:
    site = HEADQUARTERS.topology.sites[0]
    assert only_line(HEADQUARTERS).calls == len(site.endpoints) == 12
    calmer = site.model_copy(
        update={"traffic": site.traffic.model_copy(update={"simultaneous_pct": 30, "codec": "Opus"})}
    )
    topology = HEADQUARTERS.topology.model_copy(update={"sites": (calmer,)})
    line = only_line(replace(HEADQUARTERS, topology=topology))
    assert (line.calls, line.stream.codec) == (4, "Opus")


def test_standby_line_must_carry_what_the_preferred_one_does() -> None:
    site = OFFICE.topology.sites[0]
    second = site.connections[0].model_copy(update={"name": "wan2"})
    both = site.model_copy(update={"connections": (*site.connections, second)})
    loaded = replace(OFFICE, topology=OFFICE.topology.model_copy(update={"sites": (both,)}))
    first, other = computed(loaded).lines
    assert (first.line, first.standby, other.line, other.standby) == ("wan1", False, "wan2", True)
    assert first.link != other.link
    assert [d.need_kbps for d in first.directions] == [d.need_kbps for d in other.directions]
    assert [d.interface for d in other.directions] == ["wan2", other.directions[1].interface]


def test_site_without_endpoints_needs_nothing() -> None:
    empty = OFFICE.topology.sites[0].model_copy(update={"endpoints": ()})
    loaded = replace(OFFICE, topology=OFFICE.topology.model_copy(update={"sites": (empty,)}))
    line = only_line(loaded)
    assert line.calls == 0
    assert all(d.need_kbps == 0 and d.fits for d in line.directions)


traffics = st.fixed_dictionaries(
    {
        "codec": st.sampled_from(["G711", "G722", "Opus"]),
        "opus_kbps": st.integers(6, 128),
        "packet_ms": st.sampled_from([10, 20, 40, 60]),
        "simultaneous_pct": st.integers(1, 100),
        "calls_per_hour": st.integers(0, 100),
        "registration_spread_s": st.integers(1, 600),
    }
)
rates = st.integers(64, 50_000)
relaxed = settings(max_examples=40, deadline=None)


@settings(relaxed)
@given(traffic=traffics, up=rates, down=rates, classes=st.booleans())
def test_room_is_never_negative_and_verdict_agrees_with_it(
    traffic: dict[str, Any], up: int, down: int, classes: bool
) -> None:
    loaded = with_traffic(with_line(HEADQUARTERS, up, down, honours_classes=classes), traffic)
    line = only_line(loaded)
    for direction in line.directions:
        parts = [(direction.room_kbps, direction.lacking_kbps)]
        parts += [(queue.room_kbps, queue.lacking_kbps) for queue in direction.queues]
        assert all(room >= 0 and lacking >= 0 and 0 in (room, lacking) for room, lacking in parts)
        assert 0 <= direction.calls <= direction.rate_kbps / line.per_call_kbps
        for queue in direction.queues:
            if queue.calls is not None and queue.calls_borrowing is not None:
                assert direction.calls <= queue.calls <= queue.calls_borrowing
                # one call more than fits is one too many
                assert (queue.calls + 1) * queue.per_call_kbps > queue.guaranteed_kbps
    assert len(line.shortage) == sum(not direction.fits for direction in line.directions)


@settings(relaxed)
@given(traffic=traffics, rate=rates, fewer=st.integers(1, 100))
def test_more_calls_never_need_less_and_a_wider_line_never_carries_fewer(
    traffic: dict[str, Any], rate: int, fewer: int
) -> None:
    calm = traffic | {"simultaneous_pct": min(fewer, traffic["simultaneous_pct"])}
    one = only_line(with_traffic(with_line(HEADQUARTERS, rate), calm))
    more = only_line(with_traffic(with_line(HEADQUARTERS, rate), traffic))
    wider = only_line(with_traffic(with_line(HEADQUARTERS, rate + 500), traffic))
    assert one.calls <= more.calls
    for less, much, wide in zip(one.directions, more.directions, wider.directions, strict=True):
        assert less.need_kbps <= much.need_kbps + 1e-9
        assert wide.calls >= much.calls
        assert wide.room_kbps >= much.room_kbps


@settings(relaxed)
@given(traffic=traffics, up=rates, down=rates, classes=st.booleans())
def test_line_that_a_shortage_recommends_is_wide_enough(
    traffic: dict[str, Any], up: int, down: int, classes: bool
) -> None:
    line = only_line(with_traffic(with_line(HEADQUARTERS, up, down, honours_classes=classes), traffic))
    said = {"up": up, "down": down}
    for words in line.shortage:
        found = re.search(r"` (up|down): .* a line of (\d+) kbit/s", words)
        assert found
        said[found[1]] = int(found[2])
    wider = with_line(HEADQUARTERS, said["up"], said["down"], honours_classes=classes)
    assert not only_line(with_traffic(wider, traffic)).shortage


@pytest.fixture
def narrow(tmp_path: Path) -> Path:
    """The small office on a line of 400 kbit/s: enough for one call at a time, not for three."""
    text = (PROJECT / "topologies" / "small-office.yaml").read_text()
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "dsl-400.yaml").write_text(
        "profile: dsl-400\ntitle: A line of 400 kbit/s\nsource: made up\n"
        "up: {rate_kbps: 400, delay_ms: 10}\ndown: {rate_kbps: 2000, delay_ms: 10}\nhonours_classes: true\n"
    )
    file = tmp_path / "narrow.yaml"
    file.write_text(text.replace("business-internet-2}", "dsl-400}"))
    return file


TOO_SMALL = (
    "site `office`, line `wan1` up: queue `voice` is guaranteed 232 kbit/s, "
    "3 calls at once need 269.5 kbit/s: room for 2; "
    "choose a line of 470 kbit/s or more, a narrower codec, or fewer calls at once"
)


def test_line_too_small_ends_with_1_and_says_what_would_do(narrow: Path) -> None:
    done = CliRunner().invoke(app, ["capacity", str(narrow)])
    assert done.exit_code == 1
    assert done.stderr == f"too small: {TOO_SMALL}\n"
    assert "up: room for 2 calls, then voice is full" in done.stdout
    assert "-37.5" in done.stdout
    answer = json.loads(CliRunner().invoke(app, ["capacity", str(narrow), "--json"]).stdout)
    assert answer["verdict"] == "fail"
    assert answer["lines"][0]["shortage"] == [TOO_SMALL]
    assert [d["fits"] for d in answer["lines"][0]["directions"]] == [False, True]


def test_check_warns_of_a_line_too_small_for_all_calls(narrow: Path) -> None:
    done = CliRunner().invoke(app, ["check", str(narrow)])
    assert done.exit_code == 0
    assert done.stderr == f"warning: {TOO_SMALL}\n"
    found = json.loads(CliRunner().invoke(app, ["check", str(narrow), "--json"]).stdout)
    assert (found["mistakes"], found["warnings"]) == ([], [TOO_SMALL])


class ReachedTheLab(Exception):
    """The run is about to start something."""


def test_run_says_it_before_anything_starts(narrow: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def launch(*_: object, **__: object) -> None:
        raise ReachedTheLab

    monkeypatch.setattr("uclab.api.launch", launch)
    said: list[str] = []
    with pytest.raises(ReachedTheLab):
        api.run(str(narrow), out=narrow.parent / "out", watcher=api.Watcher(on_stage=said.append))
    assert said[0] == f"warning: {TOO_SMALL}"


@pytest.mark.parametrize("path", sorted((PROJECT / "topologies").glob("*.yaml")), ids=lambda path: path.stem)
def test_reference_topologies_have_room(path: Path) -> None:
    assert api.planned(str(path)).capacity.verdict == "pass"


def test_drawing_tells_calls_and_rates_on_the_line(narrow: Path, tmp_path: Path) -> None:
    file = tmp_path / "narrow.svg"
    done = CliRunner().invoke(app, ["capacity", str(narrow), "--svg", str(file)])
    assert done.exit_code == 1
    assert "3 of 2 calls · ↑ 300 of 388 ↓ 300 of 2000 kbit/s" in file.read_text()


def test_page_shows_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    page = (PROJECT / "docs" / "capacity.md").read_text()
    shown = re.search(r"\$ uclab capacity small-office\n(.*?)```", page, re.S)
    assert shown
    monkeypatch.setenv("COLUMNS", "80")
    printed = CliRunner().invoke(app, ["capacity", "small-office"]).stdout
    assert [line.rstrip() for line in printed.strip().splitlines()] == shown[1].strip().splitlines()


def test_page_tells_what_codecs_take() -> None:
    page = (PROJECT / "docs" / "capacity.md").read_text()
    rows = re.findall(r"^\| `(\w+)`.*?(?:, (\d+) kbit/s)? \| ([\d. |]+) \|$", page, re.MULTILINE)
    assert len(rows) == 3
    for codec, opus_kbps, figures in rows:
        traffic = {"codec": codec} | ({"opus_kbps": int(opus_kbps)} if opus_kbps else {})
        stream = only_line(with_traffic(OFFICE, traffic)).stream
        layers = [stream.media_kbps(layer) for layer in ("ip", "line", "ethernet", "tagged", "wire")]
        assert [float(figure) for figure in figures.split(" | ")] == pytest.approx(layers)


@pytest.mark.req("V5", "Q2")
def test_narrow_circuit_is_found_before_anything_starts() -> None:
    # given a circuit that is shaped to less than one call needs
    loaded = load_topology("cloudconnect-simplex-ott")
    assert computed(loaded).verdict == "pass"
    narrow = FAULTS["circuit-too-narrow"].apply(make_plan(loaded), None)
    # when its capacity is computed, then the line is named
    assert capacity(loaded, narrow).verdict == "fail"
    assert all("line `cc1`" in words for words in capacity(loaded, narrow).shortage)


@pytest.mark.req("W5")
def test_exchange_circuit_whose_rate_is_below_its_calls_need_is_found() -> None:
    loaded = load_topology("sdn-circuits")
    assert computed(loaded).verdict == "pass"
    [carrier] = loaded.topology.carriers
    terms = carrier.circuits[0].model_copy(update={"rate_kbps": 100})
    carriers = (carrier.model_copy(update={"circuits": (terms,)}),)
    narrow = replace(loaded, topology=loaded.topology.model_copy(update={"carriers": carriers}))
    [words] = computed(narrow).shortage
    assert words.startswith("circuit `south-cc2` has a rate of 100 kbit/s; its calls need ")


def test_the_hubs_lines_carry_the_calls_of_the_sites_behind_it() -> None:
    # given a hub with two endpoints and three branches behind it with four
    loaded = load_topology("hub-and-spoke")
    # when its capacity is computed
    lines = {(line.site, line.line): line for line in capacity(loaded, make_plan(loaded)).lines}
    # then the hub's circuit carries all calls, a branch's only its own
    assert (lines["hub", "cc1"].endpoints, lines["hub", "cc1"].calls) == (6, 6)
    assert (lines["branch1", "mpls1"].endpoints, lines["branch2", "mpls2"].endpoints) == (2, 1)
    hub, branch = lines["hub", "cc1"].directions[0], lines["branch2", "mpls2"].directions[0]
    assert hub.need_kbps == pytest.approx(6 * branch.need_kbps, rel=0.01)


def with_policy(loaded: LoadedTopology, **changes: Any) -> LoadedTopology:
    """The topology with other parts of its policy."""
    return replace(loaded, policy=loaded.policy.model_copy(update=changes))


def test_voice_without_a_queue_of_its_own_has_room_for_no_call() -> None:
    # given a policy whose voice queue takes another code point than voice's
    voice, *others = OFFICE.policy.wan_queues
    shared = with_policy(OFFICE, wan_queues=(voice.model_copy(update={"dscps": (40,)}), *others))
    # when its capacity is computed, then bulk may take all that voice could have, however wide the line
    for loaded in (shared, with_line(shared, 100_000)):
        line = only_line(loaded)
        assert {way.calls for way in line.directions} == {way.calls_alone for way in line.directions} == {0}
        assert {way.full_first for way in line.directions} == {"default"}
        assert [words for words in line.shortage if "voice shares queue `default` with all bulk" in words]
        (default,) = [queue for queue in line.directions[0].queues if queue.name == "default"]
        assert (default.calls, default.calls_borrowing) == (0, 0)
    # and where the policy has a queue for it, calls fit
    assert only_line(OFFICE).directions[0].calls > 0


@pytest.mark.parametrize(("ports", "calls"), [((50000, 50019), 5), ((50001, 50020), 4), ((50000, 50003), 1)])
def test_no_more_calls_fit_than_the_media_relay_has_ports_for(ports: tuple[int, int], calls: int) -> None:
    # given a wide line, and few media ports: two pairs a call, each beginning with an even port
    media = OFFICE.policy.media.model_copy(update={"udp_ports": ports})
    line = only_line(with_policy(with_line(OFFICE, 100_000), media=media))
    # then the ports are what is used up first
    for way in line.directions:
        assert (way.calls, way.full_first) == (calls, "media ports")
        assert way.calls_alone <= calls
    # and the site's three calls at once are too many for less than twelve
    told = [words for words in line.shortage if "calls at once, 3 are placed" in words]
    assert bool(told) == (calls < 3)
