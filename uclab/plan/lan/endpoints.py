"""How phones and softclients are set up: accounts, tones, drivers (E1, E7)."""

from __future__ import annotations

from collections.abc import Sequence

from uclab.model import topology as model
from uclab.plan.lan.sites import Context
from uclab.plan.resolve.names import password
from uclab.plan.resolve.policies import driver_of, registrar_port, registration_timing
from uclab.plan.schema.plan import Account, Endpoint

LOWEST_TONE_HZ, HIGHEST_TONE_HZ = 1510, 3010
"""Less than an octave: no tone is a harmonic of another. All lie in the band of G.711 (ITU-T G.712: 300 to
3400 Hz)."""
TONE_STEPS_HZ = (100, 50, 25, 10, 5)
"""Tones lie as far apart as their number allows; 100 ms windows tell 10 Hz apart."""


def tones(count: int) -> tuple[int, ...]:
    """`count` frequencies in Hz, all different up to 301 of them; then they repeat."""
    step = next(
        (s for s in TONE_STEPS_HZ if (HIGHEST_TONE_HZ - LOWEST_TONE_HZ) // s + 1 >= count), TONE_STEPS_HZ[-1]
    )
    all_tones = range(LOWEST_TONE_HZ, HIGHEST_TONE_HZ + 1, step)
    return tuple(all_tones[number % len(all_tones)] for number in range(count))


def topology_endpoints(topology: model.Topology) -> tuple[model.Endpoint, ...]:
    """All phones and softclients of all sites, in order."""
    return tuple(endpoint for site in topology.sites for endpoint in site.endpoints)


def build_endpoints(
    context: Context, registrars: Sequence[str], tone_hz: Sequence[int]
) -> tuple[Endpoint, ...]:
    """Every endpoint of the topology, registered by TLS at the first of `registrars` that it reaches, media
    by SRTP (C9)."""
    topology = context.topology
    return tuple(
        Endpoint(
            name=endpoint.name,
            kind=endpoint.kind,
            driver=driver_of(endpoint, context.profile, topology.cloud),
            node=endpoint.name,
            account=Account(
                user=str(endpoint.number),
                domain=topology.cloud.domain,
                password=password(topology.topology, str(endpoint.number)),
                display=f"{endpoint.name} ({endpoint.number})",
                e164=direct_number(topology.cloud.pstn.numbers, endpoint.number),
            ),
            registrar=registrars[0],
            backup_registrars=tuple(registrars[1:]),
            registrar_port=registrar_port(endpoint, context.profile),
            transport="tls",
            tone_hz=tone,
            registration=registration_timing(context.profile),
            dscp_media=context.policy.voice_dscp,
            dscp_signalling=context.policy.signalling_dscp,
        )
        for endpoint, tone in zip(topology_endpoints(topology), tone_hz, strict=True)
    )


def direct_number(outside: Sequence[str], extension: int) -> str | None:
    """An extension's own telephone number: the first number of `outside`, the PSTN's, with the extension at
    its end, in a block of its own.

    `+493055501001` and extension 1003 give `+493055521003`. None where the number has too few digits for
    that, or there is none.
    """
    end = len(outside[0]) - len(str(extension)) if outside else 0
    if end < 6:
        return None
    for block in "23456789":
        prefix = outside[0][: end - 1] + block
        if not any(number.startswith(prefix) for number in outside):
            return prefix + str(extension)
    return None
