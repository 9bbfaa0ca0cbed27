"""From the plan's `Endpoint` to a phone of the right kind."""

from __future__ import annotations

from pathlib import Path

from endpoints_emu.baresip.configuration import Settings
from endpoints_emu.baresip.phone import BaresipPhone
from endpoints_emu.phone import Phone
from uclab.kinds.user_agent import USER_AGENTS
from uclab.plan.schema.plan import Endpoint, PstnPeer
from uclab.runtime.node import NodeRuntime


def make_phone(endpoint: Endpoint, runtime: NodeRuntime, folder: Path, ca_file: Path) -> Phone:
    """A subscriber's phone on the device `runtime`, not yet started.

    Its configuration, log and recordings go to `folder`; it trusts the authorities in `ca_file` (PEM).
    """
    phone: Phone = USER_AGENTS[endpoint.driver].load()(endpoint, runtime, folder, ca_file)
    return phone


def make_baresip(endpoint: Endpoint, runtime: NodeRuntime, folder: Path, ca_file: Path) -> Phone:
    """As `make_phone`, played by baresip."""
    return BaresipPhone(endpoint, runtime, folder, Settings(ca_file, runtime.nameservers))


def make_trunk_phone(
    peer: PstnPeer, runtime: NodeRuntime, folder: Path, ca_file: Path, certificate: Path
) -> BaresipPhone:
    """The telephone network's side of the trunk: it owns the peer's numbers, and takes calls on its TLS port.

    `certificate` is its own certificate and key in one PEM file.
    """
    settings = Settings(
        ca_file, runtime.nameservers, numbers=peer.numbers, listen_port=peer.port, certificate=certificate
    )
    return BaresipPhone(peer.endpoint, runtime, folder, settings)
