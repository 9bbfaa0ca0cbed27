"""What a wall phone is."""

from uclab.kinds.endpoint_kind import ENDPOINT_KINDS, EndpointKind
from uclab.kinds.user_agent import USER_AGENTS, UserAgent

USER_AGENTS.declare("wall-phone", UserAgent("wall-phone", "wall_phone.driver:make", "1.3", 253, marks=False))
ENDPOINT_KINDS.declare(
    "wall-phone",
    EndpointKind(
        name="wall-phone",
        title="wall phone",
        what="a telephone on a wall, in the voice VLAN; nothing can be plugged into it",
        requirements=("E1",),
        vlan="voice",
        device="phone",
        pc_port=False,
        sips_port="desk_phone",
        user_agents=("wall-phone",),
    ),
)
