"""Kinds of carriers are complete where they are declared."""

from __future__ import annotations

import pytest

from uclab.kinds.carrier_kind import CARRIER_KINDS
from uclab.plan.wan import mpls, provider_bridging
from uclab.plan.wan.provider_circuit import Transport

pytestmark = pytest.mark.req("W2", "W3", "W5")


def test_each_kind_has_its_transport_or_a_controller() -> None:
    found: dict[str, Transport | None] = {
        kind.name: None if kind.programmed else kind.load_transport() for kind in CARRIER_KINDS.values()
    }
    assert found == {"mpls": mpls.TRANSPORT, "evpl": provider_bridging.TRANSPORT, "sdn": None}


def test_what_a_controller_programs_has_no_transport() -> None:
    with pytest.raises(ValueError, match="sdn: a controller programs this kind of carrier"):
        CARRIER_KINDS["sdn"].load_transport()
