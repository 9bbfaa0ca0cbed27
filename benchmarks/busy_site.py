"""A company site like `enterprise-hq` with as many phones as a benchmark wants, as a topology file.

Half the phones are desk phones, half softclients; the n-th desk phone and the n-th softclient are on
different access switches and call each other. The line is wide and loses nothing: what is lost, the lab lost.
"""

from __future__ import annotations

import yaml

PAIRS_PER_SWITCH = 8
"""As many desk phones and as many softclients on an access switch."""
PROFILE = "business-internet-100"
DESK_WATTS = 7.0
"""Class 2 of IEEE 802.3af, as in the shipped policy."""


def names(pair: int) -> tuple[str, str]:
    """The desk phone and the softclient that call each other."""
    return f"desk{pair + 1}", f"soft{pair + 1}"


def topology(pairs: int) -> str:
    """The YAML file of a site with that many pairs of phones."""
    access = max(2, -(-pairs // PAIRS_PER_SWITCH))
    per_switch = -(-pairs // access)
    endpoints = []
    for pair in range(pairs):
        desk, soft = names(pair)
        place, row = pair % access, pair // access + 1
        far = (place + 1) % access
        endpoints += [
            {"name": desk, "kind": "desk-phone", "port": f"acc{place + 1}/{row}", "number": 1001 + pair},
            {
                "name": soft,
                "kind": "softclient",
                "port": f"acc{far + 1}/{per_switch + row}",
                "number": 2001 + pair,
            },
        ]
    switches = [
        {"name": "core1", "role": "core"},
        {"name": "core2", "role": "core", "uplinks": ["core1"]},
        {"name": "dist1", "role": "distribution", "uplinks": ["core1", "core2"]},
        {"name": "dist2", "role": "distribution", "uplinks": ["core1", "core2"]},
    ]
    for number in range(1, access + 1):
        uplinks = ["dist1", "dist2"] if number % 2 else ["dist2", "dist1"]
        power = {"ports": 2 * per_switch, "poe_watts": int(DESK_WATTS * per_switch)}
        switches.append({"name": f"acc{number}", "role": "access", "uplinks": uplinks, **power})
    site = {
        "name": "hq",
        "prefix": "10.10.0.0/16",
        "vlans": [
            {"name": "voice", "id": 110, "role": "voice", "subnet": "10.10.110.0/24"},
            {"name": "data", "id": 120, "role": "data", "subnet": "10.10.120.0/24"},
        ],
        "switches": switches,
        "firewall": {"name": "fw", "uplinks": ["core1", "core2"]},
        "router": {"name": "edge"},
        "connections": [{"name": "wan1", "to": "isp1", "profile": PROFILE}],
        "endpoints": endpoints,
    }
    datacentre = {"name": "fra1", "prefix": "198.18.10.0/24"}
    document = {
        "topology": f"busy-{pairs}",
        "title": f"{pairs} desk phones and {pairs} softclients on a wide line",
        "policy": "ucaas",
        "cloud": {
            "domain": "ucaas.test",
            "regions": [{"name": "eu", "datacentres": [datacentre]}],
            "pstn": {"numbers": ["+493055501001"]},
        },
        "internet": {"providers": [{"name": "isp1", "prefix": "203.0.113.0/26"}]},
        "sites": [site],
    }
    return yaml.safe_dump(document, sort_keys=False)
