"""The user agents that the lab comes with."""

from uclab.kinds.user_agent import USER_AGENTS, UserAgent

HOST_NAME = 253
"""Characters of any host name (RFC 1035 section 2.3.4, without the last dot)."""

USER_AGENTS.declare(
    "baresip", UserAgent("baresip", "endpoints_emu.factory:make_baresip", "1.3", HOST_NAME, marks=False)
)
