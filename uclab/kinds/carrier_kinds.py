"""The kinds of carriers that the lab comes with."""

from uclab.kinds.carrier_kind import CARRIER_KINDS, CarrierKind

CARRIER_KINDS.declare(
    "mpls",
    CarrierKind(
        name="mpls",
        title="a label-switched core",
        what="a label for each circuit and direction (RFC 3031), its traffic class from the DSCP",
        requirements=("W3", "Q1"),
        transport="uclab.plan.wan.mpls:TRANSPORT",
        other_customers=True,
    ),
)
CARRIER_KINDS.declare(
    "evpl",
    CarrierKind(
        name="evpl",
        title="Ethernet virtual private lines",
        what="a service tag for each circuit (MEF 6.3, IEEE 802.1ad), its priority from the customer's tag",
        requirements=("W2", "Q1"),
        transport="uclab.plan.wan.provider_bridging:TRANSPORT",
    ),
)
CARRIER_KINDS.declare(
    "sdn",
    CarrierKind(
        name="sdn",
        title="an exchange of circuits",
        what="switches that a controller programs, circuit by circuit, while the lab runs",
        requirements=("W5",),
        transport=None,
    ),
)
