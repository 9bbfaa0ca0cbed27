"""The user agents that the lab comes with.

The wheel with PJSIP 2.15 has OpenSSL 1.0.2, which ends at TLS 1.2.
"""

from uclab.kinds.user_agent import USER_AGENTS, UserAgent

HOST_NAME = 253
"""Characters of any host name (RFC 1035 section 2.3.4, without the last dot)."""
PJSIP_HOST_NAME = 127
"""`PJ_MAX_HOSTNAME` less its end (PJSIP's pj/config.h)."""

USER_AGENTS.declare(
    "baresip", UserAgent("baresip", "endpoints_emu.factory:make_baresip", "1.3", HOST_NAME, marks=False)
)
USER_AGENTS.declare(
    "pjsua2", UserAgent("pjsua2", "endpoints_emu.factory:make_pjsua", "1.2", PJSIP_HOST_NAME, marks=True)
)
