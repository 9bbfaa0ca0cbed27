"""The LAN of a small premises: the home router's built-in switch and what is plugged into it (N5).

Nothing is tagged and nobody controls it: a phone's own switch and the PC behind it are in the same network.
"""

from __future__ import annotations

from uclab.model import topology as model
from uclab.model.home import LAN_ID
from uclab.plan.lan.bridges import BridgeBuilder
from uclab.plan.lan.switching import PHONE_PC, PHONE_SELF, PHONE_UPLINK, Lan, phone_switch
from uclab.plan.resolve.circuits import INSIDE
from uclab.plan.resolve.hosts import Host
from uclab.plan.schema.plan import LinkEnd, PortMode, SwitchRole


def build_home_lan(site: model.Site, hosts: tuple[Host, ...], first_dpid: int) -> Lan:
    """The switch with its ports as they are printed on the device; the last one behind them is the router's
    own."""
    bench, name = BridgeBuilder(site.name, first_dpid), home_switch(site)
    bench.add_switch(name, SwitchRole.HOME)
    behind = {host.behind: host for host in hosts if host.behind is not None}
    for host in hosts:
        if host.has_built_in_switch:
            _plug_in_phone(bench, name, host, behind.get(host.name))
        elif host.behind is None:
            port = _port(bench, name, host.port, host.name)
            bench.add_link(f"{host.name}-{name}", LinkEnd(host.name, "eth0"), port, "lan")
    router = site.router.name
    own = _port(bench, name, site.switches[0].ports + 1, router)
    bench.add_link(f"{router}-{name}", LinkEnd(router, INSIDE), own, "lan")
    return Lan(bench.switches(), tuple(bench.links))


def home_switch(site: model.Site) -> str:
    """Name of a home router's built-in switch."""
    return f"{site.router.name}-sw"


def _plug_in_phone(bench: BridgeBuilder, switch: str, phone: Host, pc: Host | None) -> None:
    mini = phone_switch(phone.name)
    bench.add_switch(mini, SwitchRole.PHONE)
    for host, number in ((phone, PHONE_SELF), *([(pc, PHONE_PC)] if pc is not None else [])):
        inner = _port(bench, mini, number, host.name)
        bench.add_link(f"{host.name}-{mini}", LinkEnd(host.name, "eth0"), inner, "lan")
    up = _port(bench, mini, PHONE_UPLINK, switch, phone.port)
    down = _port(bench, switch, phone.port, mini, PHONE_UPLINK)
    bench.add_link(f"{phone.name}-{switch}", up, down, "lan")


def _port(bench: BridgeBuilder, switch: str, number: int, peer: str, peer_port: int | None = None) -> LinkEnd:
    return bench.add_port(
        switch, number, PortMode.ACCESS, vlan=LAN_ID, trust_dscp=True, peer=peer, peer_port=peer_port
    )
