"""The drawing of a plan."""

from __future__ import annotations

from functools import cache
from itertools import combinations
from xml.etree import ElementTree

import pytest

from testbed.plans import shipped_plan
from uclab.drawing.graph import draw
from uclab.drawing.layout import arrange
from uclab.drawing.wires import LinkLoad
from uclab.model.load import reference_topologies
from uclab.plan.schema.plan import Plan


@cache
def plan(name: str) -> Plan:
    return shipped_plan(name)


def words(svg: str) -> list[str]:
    return [element.text for element in ElementTree.fromstring(svg).iter() if element.text]


@pytest.mark.parametrize("name", sorted(reference_topologies()))
def test_drawing_is_one_file_that_loads_nothing(name: str) -> None:
    svg = draw(plan(name))
    assert svg.startswith("<svg ")
    assert svg.count("http") == 1, "the name of the SVG namespace only"
    assert "<style" not in svg, "nothing leaks into a page that it stands in"
    assert svg == draw(plan(name))


@pytest.mark.parametrize("name", sorted(reference_topologies()))
def test_every_device_has_a_place_of_its_own_inside_the_drawing(name: str) -> None:
    layout = arrange(plan(name))
    boxes = list({box.name: box for box in layout.boxes.values()}.values())
    for one, other in combinations(boxes, 2):
        apart = abs(one.x - other.x) >= (one.width + other.width) / 2
        assert apart or abs(one.y - other.y) >= (one.height + other.height) / 2, (one.name, other.name)
    assert all(0 < box.x < layout.width and 0 < box.y < layout.height for box in boxes)


@pytest.mark.req("C8", "Q1.1", "Q1.2")
def test_link_tells_its_marking_and_load_by_direction() -> None:
    # given voice up and down a trunk between an access and a distribution switch
    [link] = [link for link in plan("enterprise-hq").links if link.name == "acc1-dist1"]
    assert link.a.device == "acc1"
    load = {link.name: LinkLoad(412.4, 1398.0, dscps=(46, 26), pcps=(5, 3), right=True)}
    # when it is drawn
    shown = words(draw(plan("enterprise-hq"), load))
    # then what goes from the access switch is upwards
    assert "↑412k ↓1.4M" in shown
    assert "EF AF31 /5,3" in shown


def test_wrong_marking_is_red() -> None:
    link = "edge-isp1"
    right = draw(plan("enterprise-hq"), {link: LinkLoad(1, 1, right=True)})
    wrong = draw(plan("enterprise-hq"), {link: LinkLoad(1, 1, right=False)})
    assert wrong.count("#b3261e") == right.count("#b3261e") + 1


def test_line_says_its_rate_and_delay() -> None:
    assert "wan1: ↑ 9.7 Mbit/s, 10 ms · ↓ 10 Mbit/s, 10 ms" in words(draw(plan("enterprise-hq")))
