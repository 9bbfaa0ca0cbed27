"""Whose media a relay takes from one place alone: sites with one line, where the policy says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cloud_core.rendering import render
from uclab.model.load import LoadedTopology, load_topology
from uclab.plan.planner import make_plan
from uclab.plan.types import SessionController


def strict(topology: str) -> LoadedTopology:
    """A reference topology under a policy with `strict_source: one-line`."""
    loaded = load_topology(topology)
    media = loaded.policy.media.model_copy(update={"strict_source": "one-line"})
    return replace(loaded, policy=loaded.policy.model_copy(update={"media": media}))


def controller(loaded: LoadedTopology) -> SessionController:
    return make_plan(loaded).session_controllers[0]


def offered(one: SessionController) -> str:
    """What Kamailio asks of its relay for media."""
    return render(
        "kamailio/kamailio.cfg.j2",
        controller=one,
        paths={"tls_config": "tls.cfg"},
        ports=one.tls_ports,
        subscribers=[],
        trunk=None,
        partners=[],
        ng_port=2223,
        registration_s=300,
        connections=10,
    )


@pytest.mark.req("C2", "C7")
def test_all_media_may_move_unless_the_policy_says_otherwise() -> None:
    one = controller(load_topology("small-office"))
    assert (one.strict_sites, one.strict_servers) == ((), ())
    assert "media-handover" in offered(one)
    assert "strict-source" not in offered(one).replace("(strict-source)", "")


@pytest.mark.req("C2", "C7")
@pytest.mark.parametrize(
    ("topology", "sites"),
    [
        ("small-office", ("203.0.113.2/32",)),
        ("soho-all-in-one", ("203.0.113.2/32",)),
        ("smb-dual-wan", ()),
        ("cloudconnect-simplex-ott", ()),
        ("hub-and-spoke", ()),
        ("sd-wan", ()),
    ],
)
def test_sites_with_one_line_are_held_to_it(topology: str, sites: tuple[str, ...]) -> None:
    assert controller(strict(topology)).strict_sites == sites


@pytest.mark.req("C2", "C7")
def test_a_relay_learns_nothing_from_packets_of_a_site_with_one_line() -> None:
    one = controller(strict("small-office"))
    text = offered(one)
    assert 'is_in_subnet("$si", "203.0.113.2/32")' in text
    assert '"strict-source SIP-source-address endpoint-learning-off"' in text
    # and servers of the cloud, whose SDP says where they are, too
    assert one.strict_servers == ("198.18.10.11/32", "198.18.10.13/32")
