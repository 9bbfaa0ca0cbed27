"""A site with a home router: one device that is modem or line end, router, firewall and switch (N5, W9).

What such a device does not let its owner choose is filled in before the file is held against the model, so
that all that comes later sees a site like any other: one flat LAN, one switch, everybody in it.
"""

from __future__ import annotations

import re
from typing import Any

LAN, LAN_ID = "lan", 1
"""The one network of a home router. Its frames carry no tag; 1 is the default VLAN of IEEE 802.1Q."""
FURNISHED = ("vlans", "switches", "firewall", "router")
"""Keys of a site that a home router stands for."""
PORTS = 4
"""Built-in ports where the file does not say."""
_NAME = re.compile(r"[a-z][a-z0-9-]{0,11}")
_NETWORK = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}")


def expand_home_router(topology: Any) -> Any:
    """The topology as it was read, its sites with a home router furnished (pure). What is not as it should
    be is left to the model, which has the words for it."""
    if not isinstance(topology, dict) or not isinstance(topology.get("sites"), list):
        return topology
    return topology | {"sites": [_site(site) for site in topology["sites"]]}


def _site(site: Any) -> Any:
    if not isinstance(site, dict) or "home_router" not in site:
        return site
    box = site["home_router"] if isinstance(site["home_router"], dict) else {}
    name = _right(box.get("name"), _NAME, "home")
    prefix = _right(site.get("prefix"), _NETWORK, "192.168.0.0/24")
    ports = box.get("ports") if isinstance(box.get("ports"), int) and 1 <= box["ports"] <= 96 else PORTS
    endpoints = site.get("endpoints")
    filled = {
        "vlans": [{"name": LAN, "id": LAN_ID, "role": "data", "subnet": prefix}],
        "switches": [{"name": name, "role": "access", "ports": ports}],
        "firewall": {"name": name, "uplinks": [name]},
        "router": {"name": name},
    }
    if isinstance(endpoints, list):
        filled["endpoints"] = [{"vlan": LAN} | e if isinstance(e, dict) else e for e in endpoints]
    return site | filled


def _right(value: Any, pattern: re.Pattern[str], otherwise: str) -> str:
    return value if isinstance(value, str) and pattern.fullmatch(value) else otherwise
