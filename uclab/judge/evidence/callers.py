"""From which addresses a call's media can come at all: what comes from elsewhere to a relay's media ports is
a stranger's (C7)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from uclab.capture.headers import Headers, Mask
from uclab.judge.evidence.network import number
from uclab.plan.schema.plan import NodeKind, Plan

STRANGERS = (NodeKind.SERVER, NodeKind.ISP, NodeKind.OTHER_CUSTOMER)
"""Devices that have no part in a call, unless an endpoint or a service of the cloud is on them."""


@dataclass(frozen=True)
class Callers:
    """The parties of calls, by address. Of the clean plan."""

    plan: Plan

    @cached_property
    def relays(self) -> frozenset[int]:
        """Addresses at which the cloud takes media."""
        return frozenset(number(controller.media_address) for controller in self.plan.session_controllers)

    @cached_property
    def parties(self) -> frozenset[str]:
        """Nodes that send media: endpoints, the telephone network, relays."""
        return frozenset(
            [
                *(endpoint.node for endpoint in self.plan.endpoints),
                *(peer.node for peer in self.plan.pstn_peers),
                *(controller.node for controller in self.plan.session_controllers),
            ]
        )

    def is_stranger(self, address: int) -> bool:
        """Whether no call's media can come from there: neither a site has that address, nor does address
        translation give it to one (by the routers' own rules), nor is it an endpoint's or the cloud's."""
        kinds = self._kinds.get(address)
        if kinds is not None:
            return all(kinds)
        return address not in self._translated and not any(
            address & mask == network for network, mask in self._inside
        )

    def strange(self, columns: Headers, media: Mask, leg: npt.NDArray[np.int8]) -> Mask:
        """Which rows that look like media go between a relay and a stranger."""
        rows = np.flatnonzero(media & (leg < 2))
        found = np.zeros(len(media), np.bool_)
        far = np.where(leg[rows] == 0, columns.src[rows], columns.dst[rows])
        strangers = [address for address in np.unique(far).tolist() if self.is_stranger(address)]
        found[rows[np.isin(far, np.array(strangers, far.dtype))]] = True
        return found

    @cached_property
    def _kinds(self) -> dict[int, list[bool]]:
        """Address -> whether each of the nodes that have it is a stranger (customers of a carrier may use
        the same)."""
        found: dict[int, list[bool]] = {}
        for node in self.plan.nodes:
            strange = node.kind in STRANGERS and node.name not in self.parties
            for interface in node.interfaces:
                for address in interface.addresses:
                    found.setdefault(number(address), []).append(strange)
        return found

    @cached_property
    def _translated(self) -> frozenset[int]:
        return frozenset(
            number(translation.address) for node in self.plan.nodes for translation in node.translations
        )

    @cached_property
    def _inside(self) -> tuple[tuple[int, int], ...]:
        nets = [ipaddress.IPv4Network(vlan.subnet) for vlan in self.plan.vlans]
        return tuple((int(net.network_address), int(net.netmask)) for net in nets)
