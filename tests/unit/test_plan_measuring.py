"""The plan of an experiment that counts calls: what it places where, and what it cannot count."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from uclab.model.load import LoadedTopology, load_topology
from uclab.plan.capacity.capacity_experiment import MOST_CALLS, Measuring, measurable, measuring
from uclab.plan.planner import make_plan
from uclab.plan.schema.codec import plan_from_json, plan_to_json
from uclab.plan.schema.errors import PlanError

pytestmark = [pytest.mark.req("C8"), pytest.mark.req("Q2")]
OFFICE = (Path(__file__).resolve().parents[2] / "topologies" / "small-office.yaml").read_text()
PROFILE = """\
profile: line-{mbps}
title: Line of {mbps} Mbit/s
source: test
up: {{rate_kbps: {mbps}000, delay_ms: 10, jitter_ms: 1, loss_pct: 0.0}}
down: {{rate_kbps: {mbps}000, delay_ms: 10, jitter_ms: 1, loss_pct: 0.0}}
honours_classes: {honours}
"""


def office(
    folder: Path, mbps: int, traffic: str = "", honours: str = "true", policy: str = ""
) -> LoadedTopology:
    """The small office on another line; `policy` is added to the policy's `traffic`."""
    (folder / "profiles").mkdir()
    (folder / "profiles" / f"line-{mbps}.yaml").write_text(PROFILE.format(mbps=mbps, honours=honours))
    text = OFFICE.replace("business-internet-2}", f"line-{mbps}}}")
    if traffic:
        text = text.replace("    connections:\n", f"    traffic: {traffic}\n    connections:\n")
    if policy:
        (folder / "policies").mkdir()
        shipped = (Path(__file__).resolve().parents[2] / "topologies" / "policies" / "ucaas.yaml").read_text()
        (folder / "policies" / "other.yaml").write_text(
            shipped.replace("policy: ucaas\n", "policy: other\n") + f"\ntraffic: {policy}\n"
        )
        text = text.replace("policy: ucaas\n", "policy: other\n")
    (folder / "office.yaml").write_text(text)
    return load_topology(str(folder / "office.yaml"))


def experiment(loaded: LoadedTopology) -> Measuring:
    plan = make_plan(loaded)
    (line,) = measurable(loaded, plan)
    return measuring(plan, line)


@cache
def small_office() -> Measuring:
    return experiment(load_topology("small-office"))


def test_each_call_has_one_stream_each_way_over_the_line() -> None:
    # given the experiment of the small office
    order = small_office()
    near, far = order.load_plan.generators
    # then one side sits at the site, the other in the data centre beside the session controller
    assert (near.site, far.site) == ("office", "fra1")
    switches = {port.peer: switch for switch in order.load_plan.plan.switches for port in switch.ports}
    assert switches[near.node].name == "sw1"
    assert switches[far.node] == switches["fra1-sbc"]
    # and there is a partner for each caller, whom the cloud knows
    assert len(near.users) == len(far.users) == order.record.most
    known = {account.user for account in order.load_plan.plan.session_controllers[0].accounts}
    assert {user.account.user for user in (*near.users, *far.users)} <= known


def test_captures_are_taken_only_where_the_answer_comes_from() -> None:
    taps = {tap.label for tap in small_office().load_plan.plan.taps}
    assert taps == {"callers:eth0", "answerers:eth0", "edge:wan1", "isp1:edge"}


def test_the_plan_can_be_written_and_read() -> None:
    plan = small_office().load_plan.plan
    assert plan_from_json(plan_to_json(plan)) == plan


def test_bulk_overloads_the_line_only_with_the_calls() -> None:
    assert [(one.name, one.rate_kbps) for one in small_office().load_plan.plan.bulk] == [
        ("office-up", 485),
        ("office-down", 500),
    ]


@pytest.mark.parametrize(
    ("mbps", "traffic", "up", "down"),
    [
        (2, "", 18, 18),
        (5, "", 45, 47),
        (20, "", 183, 189),
        (2, "{codec: Opus}", 28, 29),
        (5, "{codec: Opus}", 71, 73),
    ],
)
def test_the_computed_number_is_what_bulk_leaves_to_voice(
    mbps: int, traffic: str, up: int, down: int, tmp_path: Path
) -> None:
    # (rate - guarantee of the class for everything else) / (media and RTCP of a call)
    order = experiment(office(tmp_path, mbps, traffic))
    assert [way.calls for way in order.record.ways] == [up, down]
    assert order.record.ways[0].queue == "voice"
    assert order.record.overloaded


def test_a_line_with_one_queue_is_measured_without_bulk(tmp_path: Path) -> None:
    order = experiment(office(tmp_path, 2, honours="false"))
    assert not order.record.overloaded
    assert order.load_plan.plan.bulk == ()


def test_one_way_leaves_the_other_alone() -> None:
    loaded = load_topology("small-office")
    plan = make_plan(loaded)
    order = measuring(plan, measurable(loaded, plan)[0], "down")
    assert [way.way for way in order.record.ways] == ["down"]
    assert [one.direction for one in order.load_plan.plan.bulk] == ["down"]


@pytest.mark.parametrize(
    ("mbps", "traffic", "policy", "words"),
    [
        (2, "{codec: G722}", "", "G722 is computed only"),
        (2, "", "{packet_ms: 30}", "packets of 30 ms are computed only; load generators send 20, 40, 60 ms"),
        (2, "", "{srtp_suite: AEAD_AES_128_GCM}", "an SRTP tag of 16 bytes is computed only"),
        (100, "", "", f"more than {MOST_CALLS} are not placed"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    mbps: int, traffic: str, policy: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(PlanError, match=words):
        experiment(office(tmp_path, mbps, traffic, policy=policy))


def test_a_site_without_a_pc_cannot_overload_its_line(tmp_path: Path) -> None:
    text = OFFICE.replace(", pc: pc1", "").replace(
        "      - {name: soft1, kind: softclient, port: sw1/5, number: 203}\n", ""
    )
    (tmp_path / "office.yaml").write_text(text)
    with pytest.raises(PlanError, match="no PC of the site could overload it"):
        experiment(load_topology(str(tmp_path / "office.yaml")))
