"""The second opinion on priority tags must be able to differ."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from testbed.made_up_network import reference_plan
from testbed.world import World
from uclab.judge.checks.tshark_crosscheck import check_dissector
from uclab.judge.evidence.run import load_run
from uclab.judge.judging import build_evidence
from uclab.judge.measure.run_evidence import RunEvidence


@pytest.fixture
def evidence(tmp_path: Path) -> RunEvidence:
    world = World(tmp_path, replace(reference_plan("desk1", "desk2"), bulk=()))
    for name in ("desk1", "desk2"):
        world.connect(name)
    world.call("desk1", "desk2", seconds=0.1)
    return build_evidence(load_run(world.write()))


@pytest.mark.req("D5", "Q1.1", "Q1.2")
def test_tshark_and_the_columns_agree_and_a_difference_is_found(evidence: RunEvidence) -> None:
    # given a run that both read alike
    agreed = check_dissector(evidence)
    assert (agreed.verdict, agreed.blame) == ("pass", None)

    # when one flow's columns are changed
    flow = next(flow for flow in evidence.flows if flow.frame and flow.key.pcp == 5)
    flow.key = replace(flow.key, pcp=6)

    # then that is found
    differing = check_dissector(evidence)
    assert differing.verdict == "fail"
    assert "pcp=5" in differing.observed
    assert differing.evidence.tap == flow.key.tap


@pytest.mark.req("D5")
def test_without_media_there_is_no_second_opinion(evidence: RunEvidence) -> None:
    for flow in evidence.flows:
        flow.frame = b""
    assert check_dissector(evidence).verdict == "not-shown"
