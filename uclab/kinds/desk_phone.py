"""A desk phone (E1)."""

from uclab.kinds.endpoint_kind import ENDPOINT_KINDS, EndpointKind

ENDPOINT_KINDS.declare(
    "desk-phone",
    EndpointKind(
        name="desk-phone",
        title="desk phone",
        what="a telephone on a desk with a switch for the PC behind it; tags its frames with the voice VLAN",
        requirements=("E1",),
        vlan="voice",
        device="phone",
        pc_port=True,
        sips_port="desk_phone",
        user_agents=("baresip",),
    ),
)
