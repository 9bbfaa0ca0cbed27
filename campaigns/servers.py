"""Servers as a pool describes them."""

from __future__ import annotations

from pathlib import Path

from endpoints_emu.load.transport import Server
from uclab.plan.load.record import Pool, Registrar


def server_of(
    pool: Pool, registrar: Registrar, certificate: Path | None = None, key: Path | None = None
) -> Server:
    """A session controller over TLS, its connection watched as the policy says; with `certificate` and `key`
    where it wants to see them."""
    timing = pool.registration
    return Server(
        *(registrar.host_name, registrar.address, registrar.port, "tls", Path(pool.ca_file)),
        idle_s=timing.keepalive_s,
        probe_s=timing.probe_s,
        probes=max(1, (timing.lost_s - timing.keepalive_s) // timing.probe_s),
        certificate=certificate,
        key=key,
    )
