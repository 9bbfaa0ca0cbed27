"""What a campaign's processes are told; wrong orders are refused before anything starts."""

from __future__ import annotations

import signal
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from testbed.plans import shipped_plan
from tests.unit.command_line import uclab
from uclab.api import UnknownName, applied
from uclab.campaign.orders import PROFILES, leader_command, locustfile, worker_command
from uclab.campaign.outage import first_lines
from uclab.campaign.programs import Programs, finish, follow
from uclab.campaign.relay import relay, towards
from uclab.campaign.running import order_of
from uclab.plan.faults.load_faults import LOAD_FAULTS
from uclab.plan.faults.load_line_faults import LINE_FAULTS, SMALL_KBPS
from uclab.plan.load.load_placement import LoadPlan, as_judged, pools, with_load
from uclab.plan.load.record import Pool
from uclab.plan.schema.codec import from_data, to_data

pytestmark = pytest.mark.req("D11")


@cache
def load_of(topology: str, users: int, generators: int) -> LoadPlan:
    return with_load(shipped_plan(topology), users, generators)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_is_a_locustfile(profile: str) -> None:
    file = locustfile(profile)
    assert file is not None
    assert file.is_file()
    assert "from campaigns import user_classes" in file.read_text()


@pytest.mark.parametrize(
    ("name", "words"), [("busyhour", "did you mean `busy-hour`"), ("x.py", "no locustfile")]
)
def test_an_unknown_profile_is_refused(name: str, words: str) -> None:
    with pytest.raises(UnknownName, match=words):
        order_of(name, users=1, spawn_rate=1, duration_s=5, workers=1, web=False)


def test_locust_s_processes_are_bound_in_time_and_find_each_other(tmp_path: Path) -> None:
    order = order_of("busy-hour", users=20, spawn_rate=4.0, duration_s=30, workers=2, web=False)
    load_plan = load_of("small-office", 20, 2)
    leader = " ".join(leader_command(order, tmp_path))
    # given a leader, then it waits for its workers for a bound time, and runs for a bound time
    assert "--expect-workers 2 --expect-workers-max-wait" in leader
    assert "--headless --users 20 --spawn-rate 4 --run-time 30s --stop-timeout" in leader
    assert order.longest_s > 30 + 20 / 4
    # and every worker is told where on its own management cable the leader is
    hosts = [" ".join(worker_command(order, one)) for one in load_plan.generators]
    ends = [i.addresses[0].partition("/")[0] for i in load_plan.plan.node(load_plan.leader).interfaces]
    assert [f"--master-host {address} " in host for host, address in zip(hosts, ends, strict=True)] == [
        True
    ] * 2


def test_each_generator_is_told_of_its_own_users_and_of_all_colleagues() -> None:
    load_plan = load_of("cloudconnect-georedundant", 9, 2)
    told = pools(load_plan, "/run/campaign", "/run/pki/ca.pem")
    assert [from_data(Pool, to_data(pool)) for pool in told] == list(told)
    assert {len(pool.colleagues) for pool in told} == {9}
    assert sum(len(pool.users) for pool in told) == 9
    # and of all session controllers, the preferred one first, with the address that its name stands for
    addresses = {one.host_name: one.address for one in load_plan.plan.session_controllers}
    assert [r.host_name for r in told[0].registrars] == list(addresses)
    assert all(addresses[r.host_name] == r.address for r in told[0].registrars)


def test_a_program_that_is_about_to_end_is_left_to_it(tmp_path: Path) -> None:
    last_words = tmp_path / "last-words"
    with Programs(tmp_path) as programs:
        # given a program that ends when it has seen a file, and one that never does
        waits = f"until [ -e {last_words} ]; do sleep 0.05; done"
        finishing = programs.start("finishing", ["sh", "-c", waits], {})
        endless = programs.start("endless", ["sleep", "600"], {})
        # when they are waited for, then it is looked at what happens meanwhile
        finish([finishing], 60.0, last_words.touch)
        assert finishing.status == 0
        # and there is an end to patience
        finish([endless], 0.3, lambda: None)
        assert endless.status is None
    assert endless.status == -signal.SIGTERM


@pytest.mark.req("D11")
def test_ctrl_c_ends_the_leader_and_is_told(tmp_path: Path) -> None:
    told: list[str] = []

    def look() -> None:
        if not told:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # who started this may ignore it
    try:
        with Programs(tmp_path) as programs:
            leader = programs.start("leader", ["sleep", "600"], {})
            assert follow(leader, 60.0, look, lambda: told.append("interrupted"))
    finally:
        signal.signal(signal.SIGINT, before)
    assert (told, leader.status) == (["interrupted"], -signal.SIGINT)


def test_the_judge_follows_media_from_each_generator_on() -> None:
    load_plan = load_of("small-office", 20, 2)
    judged = as_judged(load_plan)
    assert {one.node for one in judged.endpoints} >= {one.node for one in load_plan.generators}
    assert judged.nodes == load_plan.plan.nodes


def test_the_outage_cuts_the_line_that_is_preferred() -> None:
    assert first_lines(shipped_plan("smb-dual-wan")) == ("edge-isp1",)


@pytest.mark.parametrize(
    "name", [name for name in LOAD_FAULTS if name not in (*LINE_FAULTS, "trunk-impostor")]
)
def test_a_fault_of_campaigns_changes_the_session_controllers_alone(name: str) -> None:
    plan = load_of("small-office", 4, 1).plan
    broken = applied(plan, [name], LOAD_FAULTS)
    assert broken.faults == (name,)
    assert broken.session_controllers != plan.session_controllers
    assert (broken.nodes, broken.endpoints) == (plan.nodes, plan.endpoints)
    with pytest.raises(UnknownName, match="takes no target"):
        applied(plan, [f"{name}:x"], LOAD_FAULTS)


@pytest.mark.req("C4", "C9.1")
def test_an_impostor_has_a_certificate_of_the_lab_for_somebody_else() -> None:
    plan = load_of("small-office", 4, 1).plan
    broken = applied(plan, ["trunk-impostor"], LOAD_FAULTS)
    changed = set(broken.certificates) - set(plan.certificates)
    assert [(one.name, one.dns_names, one.issuer) for one in changed] == [
        ("pstn.ucaas.test", ("other.pstn.ucaas.test",), "lab")
    ]
    assert replace(broken, certificates=plan.certificates, faults=()) == plan
    with pytest.raises(UnknownName, match="takes no target"):
        applied(plan, ["trunk-impostor:x"], LOAD_FAULTS)


@pytest.mark.req("C8")
def test_a_line_too_small_is_small_at_both_ends() -> None:
    plan = shipped_plan("smb-dual-wan")
    small = applied(plan, ["line-too-small:edge-isp2"], LOAD_FAULTS)
    assert small.faults == ("line-too-small:edge-isp2",)
    rates = {(n.name, q.interface): q for n in small.nodes for q in n.queues}
    assert rates["edge", "wan2"].rate_kbps == SMALL_KBPS * 97 // 100
    assert rates["isp2", "edge"].rate_kbps == SMALL_KBPS
    # and classes keep their shares, so that calls are still set up
    shares = {c.name: c.rate_kbps for c in rates["edge", "wan2"].classes}
    assert shares["voice"] == SMALL_KBPS * 97 // 100 * 60 // 100
    assert shares["signalling"] > 40
    # and all else stays
    untouched = {(n.name, q.interface): q for n in plan.nodes for q in n.queues}
    assert {end for end in rates if rates[end] != untouched[end]} == {("edge", "wan2"), ("isp2", "edge")}


@pytest.mark.req("C9.4")
def test_a_provider_that_alters_media_does_so_towards_the_site_alone() -> None:
    plan = shipped_plan("small-office")
    rules = applied(plan, ["media-altered"], LOAD_FAULTS).node("isp1").nftables or ""
    assert 'oifname "edge" udp sport 20000-64999 numgen inc mod 20 == 0' in rules
    assert "udp checksum set 0" in rules


@pytest.mark.parametrize("name", LINE_FAULTS)
def test_a_fault_of_a_line_names_the_lines_there_are(name: str) -> None:
    plan = shipped_plan("smb-dual-wan")
    with pytest.raises(UnknownName, match="there is edge-isp1, edge-isp2"):
        applied(plan, [f"{name}:nowhere"], LOAD_FAULTS)


def test_other_faults_can_be_had_in_a_campaign_too() -> None:
    plan = load_of("small-office", 4, 1).plan
    assert applied(plan, ["media-direct"], LOAD_FAULTS).faults == ("media-direct",)
    with pytest.raises(UnknownName, match="did you mean `registrar-throttled`"):
        applied(plan, ["registrar-throtled"], LOAD_FAULTS)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("small-office", "--profile", "busy-hours"), "did you mean `busy-hour`"),
        (("small-office", "--users", "100"), "has room for"),
        (("small-office", "--users", "0"), "--users"),
        (("small-office", "--users", "2", "--workers", "3"), "each needs one"),
        (("soho-all-in-one",), "no place for load generators"),
        (("small-office", "--fault", "nonsense"), "no fault `nonsense`"),
        (("no-such-topology",), "no-such-topology"),
    ],
)
def test_a_wrong_order_ends_with_2_before_anything_starts(
    arguments: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    done = uclab("campaign", *arguments, "--out", str(tmp_path / "out"), state=tmp_path)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("address", ["127.0.0.1", "192.168.56.10"])
def test_a_relay_listens_where_it_is_told_and_hands_on_what_socat_would_take_apart(address: str) -> None:
    command = ["nsenter", "--net=/proc/1/ns/net", "--", *towards("127.0.0.1", 5557)]
    assert relay(address, 5557, command) == [
        *("socat", f"TCP-LISTEN:5557,bind={address},fork,reuseaddr"),
        r"EXEC:nsenter --net=/proc/1/ns/net -- socat - TCP\:127.0.0.1\:5557",
    ]
