"""What all files have in common: the strict frozen base, and the values of the field (names, ports, DSCPs)."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,11}$")]
"""Device name: lower-case letters, digits and hyphens, at most 12 characters (kernel interface names are made from it)."""
LongName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
"""Name of a file's subject (topology, policy, link profile), at most 40 characters."""

DSCP_NAMES: dict[str, int] = (
    {"BE": 0, "EF": 46, "VA": 44}
    | {f"CS{n}": 8 * n for n in range(8)}
    | {f"AF{c}{d}": 8 * c + 2 * d for c in range(1, 5) for d in range(1, 4)}
)
"""Code points by name (RFC 2474, RFC 2597, RFC 3246, RFC 5865)."""


class Part(BaseModel):
    """Base of everything in a file: unknown keys are mistakes, nothing changes after loading."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


def _dscp(value: object) -> int:
    if isinstance(value, str) and value.upper() in DSCP_NAMES:
        return DSCP_NAMES[value.upper()]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 63:
        return value
    raise PydanticCustomError("dscp", "a code point: 0 to 63, or a name such as EF, AF41, CS3")


def _port_range(value: object) -> tuple[int, int]:
    if isinstance(value, int) and not isinstance(value, bool):
        low = high = value
    elif isinstance(value, str) and value.isascii() and all(p.isdigit() and len(p) < 6 for p in value.split("-", 1)):
        parts = value.split("-", 1)
        low, high = int(parts[0]), int(parts[-1])
    else:
        low, high = 0, 0
    if not 1 <= low <= high <= 65535:
        raise PydanticCustomError("port_range", "a port 1 to 65535, or a range such as 20000-64999")
    return low, high


Dscp = Annotated[
    int,
    BeforeValidator(_dscp),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 63}, {"type": "string", "enum": sorted(DSCP_NAMES)}]}
    ),
]
"""Differentiated services code point, 0 to 63; in a file also by name (`EF`)."""

PortRange = Annotated[
    tuple[int, int],
    BeforeValidator(_port_range),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 65535},
                {"type": "string", "pattern": "^[0-9]{1,5}(-[0-9]{1,5})?$"},
            ]
        }
    ),
]
"""UDP or TCP ports, both ends inclusive; in a file `8803` or `20000-64999`."""
