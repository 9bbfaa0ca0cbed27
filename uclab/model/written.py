"""What is meant by a value that is written as people write, not as files do: `10,000`, `10M`, a netmask."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Network, NetmaskValueError

_NUMBER = re.compile(r"([0-9]{1,3}(?:[, '_][0-9]{3})+|[0-9]+)([.,][0-9]{1,2})?\s*([A-Za-z%][A-Za-z/%]*)?")
_MASKED = re.compile(
    r"([0-9]{1,3}(?:\.[0-9]{1,3}){3})[/ ]\s*(?:netmask |mask )?([0-9]{1,3}(?:\.[0-9]{1,3}){3})"
)
_UNITS: dict[str, dict[str, float]] = {
    "kbps": {"k": 1, "m": 1000, "g": 1_000_000},
    "ms": {"ms": 1, "s": 1000, "sec": 1000, "us": 0.001},
    "s": {"s": 1, "sec": 1, "ms": 0.001, "m": 60, "min": 60, "h": 3600},
    "pct": {"%": 1, "pct": 1},
    "watts": {"w": 1},
}
"""By the end of a key's name: units that people write, and how many of the key's own unit they are."""


def number_meant(text: object, key: object) -> str | None:
    """The number that a text stands for, in the unit of its key; None where that is not to be told."""
    found = _NUMBER.fullmatch(text.strip()) if isinstance(text, str) and len(text) < 40 else None
    if found is None:
        return None
    whole, part, unit = found[1], found[2] or "", (found[3] or "").lower()
    value = float(re.sub(r"[^0-9]", "", whole) + part.replace(",", "."))
    if unit:
        units = _UNITS.get(str(key).rsplit("_", 1)[-1], {})
        rate = re.fullmatch(r"([kmg])?(bit|b)?(/s|ps|/sec)?", unit) if "k" in units else None
        factor = units.get((rate[1] or "") if rate else unit)
        if factor is None:
            return None
        value *= factor
    return f"{value:.10g}" if value < 1e10 else None


def network_meant(text: object) -> str | None:
    """The network that an address with a netmask stands for, with its prefix length."""
    found = _MASKED.fullmatch(text.strip()) if isinstance(text, str) and len(text) < 60 else None
    if found is None:
        return None
    try:
        return str(IPv4Network(f"{found[1]}/{found[2]}", strict=False))
    except (AddressValueError, NetmaskValueError, ValueError):
        return None
