"""Whose media a relay takes from one place alone: sites with one line, where the policy says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from uclab.model.load import LoadedTopology, load_topology
from uclab.plan.planner import make_plan
from uclab.plan.schema.plan import SessionController


def strict(topology: str) -> LoadedTopology:
    """A reference topology under a policy with `strict_source: one-line`."""
    loaded = load_topology(topology)
    media = loaded.policy.media.model_copy(update={"strict_source": "one-line"})
    return replace(loaded, policy=loaded.policy.model_copy(update={"media": media}))


def controller(loaded: LoadedTopology) -> SessionController:
    return make_plan(loaded).session_controllers[0]


@pytest.mark.req("C2.3", "C7")
def test_all_media_may_move_unless_the_policy_says_otherwise() -> None:
    one = controller(load_topology("small-office"))
    assert (one.strict_sites, one.strict_servers) == ((), ())


@pytest.mark.req("C2.3", "C7")
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


@pytest.mark.req("C2.3", "C7")
def test_servers_of_the_cloud_are_held_to_what_their_sdp_says() -> None:
    assert controller(strict("small-office")).strict_servers == ("198.18.10.11/32", "198.18.10.13/32")
