"""What all files have in common: the strict frozen base, and values such as names, ports, DSCPs."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, StringConstraints, WithJsonSchema
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError


def says(text: str) -> FieldInfo:
    """What a pattern allows in words: for messages, and for editors that show it (`patternErrorMessage`)."""
    info: FieldInfo = Field(json_schema_extra={"patternErrorMessage": text})
    return info


Name = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,11}$"),
    says("a name of at most 12 lower-case letters, digits and hyphens that begins with a letter"),
]
"""Device name, at most 12 characters: kernel interface names are made from it."""
LongName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$"),
    says("a name of at most 40 lower-case letters, digits and hyphens that begins with a letter"),
]
"""Name of a file's subject (topology, policy, link profile), at most 40 characters."""
Title = Annotated[
    str,
    StringConstraints(max_length=120, pattern=r"^\S.*$"),
    says("one line of text, at most 120 characters; in quotes if it looks like a number"),
]
"""One line for people."""
Text = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
"""Some lines for people."""
Reference = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, pattern=r"^[^\s\\]+$"),
    says("a name, or a path that ends in `.yaml`"),
]
"""Name of another file, or a path to one (with `/` or `.yaml` in it)."""

CsvReference = Annotated[
    str,
    StringConstraints(max_length=200, pattern=r"^[^\s\\]+\.csv$"),
    says("a path that ends in `.csv`"),
]
"""Path to a CSV file beside the one that names it."""

DSCP_NAMES: dict[str, int] = (
    {"BE": 0, "EF": 46, "VA": 44}
    | {f"CS{n}": 8 * n for n in range(8)}
    | {f"AF{c}{d}": 8 * c + 2 * d for c in range(1, 5) for d in range(1, 4)}
)
"""Code points by name (RFC 2474, RFC 2597, RFC 3246, RFC 5865)."""

_DSCP = "a code point 0 to 63, or its name such as `EF`, `AF41`, `CS3`"
_PORTS = "a port from 1 to 65535, or a range such as `20000-64999`"
_VLANS = "a VLAN id from 1 to 4094, or a range such as `2-4094`"
_LENGTHS = "a prefix length from 8 to 32, or a range such as `24-29`"
_NETWORK = "an IPv4 network such as `10.10.110.0/24`"
_ADDRESS = "one IPv4 address such as `10.10.110.1`"


class StrictModel(BaseModel):
    """Base of everything in a file: unknown keys are errors, nothing changes after loading."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


def _dscp(value: object) -> int:
    if isinstance(value, str) and value.upper() in DSCP_NAMES:
        return DSCP_NAMES[value.upper()]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 63:
        return value
    raise PydanticCustomError(
        "dscp", "allowed: a code point 0 to 63, or its name such as `EF`, `AF41`, `CS3`"
    )


def _range(value: object, least: int, most: int, allowed: str) -> tuple[int, int]:
    """A number, or two with a hyphen between them, both inclusive."""
    if isinstance(value, int) and not isinstance(value, bool):
        low = high = value
    elif (
        isinstance(value, str)
        and value.isascii()
        and all(p.isdigit() and len(p) < 6 for p in value.split("-", 1))
    ):
        parts = value.split("-", 1)
        low, high = int(parts[0]), int(parts[-1])
    else:
        low, high = 0, -1
    if not least <= low <= high <= most:
        raise PydanticCustomError("range", f"allowed: {allowed}")
    return low, high


def _port_range(value: object) -> tuple[int, int]:
    return _range(value, 1, 65535, _PORTS)


def port_range(value: object) -> tuple[int, int] | None:
    """Ports as a file writes them, both ends inclusive; None where that is no range of ports."""
    try:
        return _port_range(value)
    except PydanticCustomError:
        return None


def _vlan_range(value: object) -> tuple[int, int]:
    return _range(value, 1, 4094, _VLANS)


def _prefix_lengths(value: object) -> tuple[int, int]:
    return _range(value, 8, 32, _LENGTHS)


def _network(value: object) -> IPv4Network:
    if isinstance(value, IPv4Network):
        return value
    example = f"allowed: {_NETWORK}"
    if not isinstance(value, str):
        raise PydanticCustomError("network", "{allowed}", {"allowed": example})
    address, slash, length = value.partition("/")
    try:
        start = IPv4Address(address)
    except AddressValueError:
        raise PydanticCustomError("network", "{allowed}", {"allowed": example}) from None
    if not slash:
        raise PydanticCustomError(
            "network", "add the prefix length, such as `{value}/24`", {"value": address}
        )
    if not (length.isascii() and length.isdigit() and len(length) <= 2 and int(length) <= 32):
        raise PydanticCustomError("network", "allowed: a prefix length from 0 to 32 behind the `/`")
    net = IPv4Network((start, int(length)), strict=False)
    if net.network_address != start:
        raise PydanticCustomError("network", "host bits are set: the network is `{net}`", {"net": str(net)})
    return net


def _address(value: object) -> str:
    if isinstance(value, str):
        try:
            return str(IPv4Address(value))
        except AddressValueError:
            pass
    raise PydanticCustomError("address", f"allowed: {_ADDRESS}")


_DOTTED = r"[0-9]{1,3}(\.[0-9]{1,3}){3}"

Network = Annotated[
    IPv4Network,
    PlainValidator(_network),
    WithJsonSchema(
        {"type": "string", "pattern": rf"^{_DOTTED}/[0-9]{{1,2}}$", "patternErrorMessage": _NETWORK}
    ),
]
"""An IPv4 network, e.g. `10.10.110.0/24`, without host bits."""

Address = Annotated[
    str,
    PlainValidator(_address),
    WithJsonSchema({"type": "string", "pattern": rf"^{_DOTTED}$", "patternErrorMessage": _ADDRESS}),
]
"""An IPv4 address."""

_DSCP_SCHEMAS = [
    {"type": "integer", "minimum": 0, "maximum": 63},
    {"type": "string", "enum": sorted(DSCP_NAMES)},
]
Dscp = Annotated[
    int,
    PlainValidator(_dscp),
    WithJsonSchema({"anyOf": _DSCP_SCHEMAS, "patternErrorMessage": _DSCP}),
]
"""Differentiated services code point, 0 to 63; in a file also by name (`EF`)."""


def _ranges(least: int, most: int) -> list[dict[str, object]]:
    """The JSON Schema of a range."""
    return [
        {"type": "integer", "minimum": least, "maximum": most},
        {"type": "string", "pattern": "^[0-9]{1,5}(-[0-9]{1,5})?$"},
    ]


PortRange = Annotated[
    tuple[int, int],
    PlainValidator(_port_range),
    WithJsonSchema({"anyOf": _ranges(1, 65535), "patternErrorMessage": _PORTS}),
]
"""UDP or TCP ports, both ends inclusive; in a file `8803` or `20000-64999`."""


VlanRange = Annotated[
    tuple[int, int],
    PlainValidator(_vlan_range),
    WithJsonSchema({"anyOf": _ranges(1, 4094), "patternErrorMessage": _VLANS}),
]
"""802.1Q VLAN ids, both ends inclusive; in a file `2-4094`."""

PrefixLengths = Annotated[
    tuple[int, int],
    PlainValidator(_prefix_lengths),
    WithJsonSchema({"anyOf": _ranges(8, 32), "patternErrorMessage": _LENGTHS}),
]
"""Lengths of IPv4 prefixes, shortest and longest inclusive; in a file `24-29`."""
