"""A softclient on a PC (E7)."""

from uclab.kinds.endpoint_kind import ENDPOINT_KINDS, EndpointKind

ENDPOINT_KINDS.declare(
    "softclient",
    EndpointKind(
        name="softclient",
        title="softclient",
        what="an application on a PC, in the data VLAN; the network classifies its packets by their ports",
        requirements=("E7",),
        vlan="data",
        device="computer",
        pc_port=False,
        sips_port="softclient",
        user_agents=("baresip",),
    ),
)
