"""The telephone network behind the first data centre: the carrier's end of the SIP trunk (C3, C4)."""

from __future__ import annotations

from uclab.plan.cloud.datacentres import datacentres, session_controller_name
from uclab.plan.lan.sites import Context
from uclab.plan.resolve.names import password
from uclab.plan.resolve.policies import registration_timing
from uclab.plan.schema.plan import (
    Account,
    Endpoint,
    PstnPeer,
)

PSTN = "pstn"


def pstn_name(context: Context) -> str:
    return f"{PSTN}.{context.topology.cloud.domain}"


def pstn_peer(context: Context, tone_hz: int) -> PstnPeer:
    topology, port = context.topology, context.profile.signalling.sips_ports.trunk
    own = context.addresses.datacentres[datacentres(topology)[0].name].pstn
    numbers = topology.cloud.pstn.numbers
    host_name = pstn_name(context)
    endpoint = Endpoint(
        name=PSTN,
        kind="pstn-phone",
        driver="baresip",
        node=PSTN,
        account=Account(
            user=numbers[0],
            domain=host_name,
            password=password(topology.topology, PSTN),
            display="telephone network",
            e164=numbers[0],
        ),
        registrar=session_controller_name(topology, 0),
        registrar_port=port,
        transport="tls",
        tone_hz=tone_hz,
        registration=registration_timing(context.profile),
        dscp_media=context.policy.voice_dscp,
        dscp_signalling=context.policy.signalling_dscp,
        registers=False,
    )
    return PstnPeer(
        name=PSTN,
        node=PSTN,
        address=str(own.ip),
        host_name=host_name,
        port=port,
        numbers=numbers,
        certificate=host_name,
        endpoint=endpoint,
    )
