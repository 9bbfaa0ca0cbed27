"""What an endpoint kind is: all that topology, plan, lab and documentation need to know of it.

Each is declared in a module of its own (entry points `uclab.endpoint_kinds`); names of kinds are the values
of `kind` of a topology's endpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from uclab.declarations import Declarations


@dataclass(frozen=True)
class EndpointKind:
    """A kind of device that has a subscriber."""

    name: str
    title: str
    """One of it in a sentence: `desk phone`."""
    what: str
    """For people, as Markdown."""
    requirements: tuple[str, ...]
    vlan: Literal["voice", "data"]
    """Role of the VLAN that it stands in where its user chooses none (L1, L2)."""
    device: Literal["phone", "computer"]
    """What the network takes it for: a phone's port trusts its marks in the voice VLAN, a computer's none."""
    pc_port: bool
    """Whether a PC can be plugged into it; then it has a switch of its own."""
    sips_port: Literal["desk_phone", "softclient"]
    """Which of the policy's SIP ports (`signalling.sips_ports`) it registers at."""
    user_agents: tuple[str, ...]
    """Programs that can play it, the preferred one first (`user_agent`)."""

    @property
    def titles(self) -> str:
        """Several of it in a sentence."""
        return f"{self.title}s"


ENDPOINT_KINDS: Declarations[EndpointKind] = Declarations("uclab.endpoint_kinds", "endpoint kind")
"""All kinds by name."""


def kind_of(name: str | None) -> EndpointKind | None:
    """The kind of that name; None where there is none."""
    return ENDPOINT_KINDS.get(name) if name is not None else None


def device_of(name: str | None) -> str | None:
    """What the network takes endpoints of that kind for; None where there is no such kind."""
    kind = kind_of(name)
    return kind.device if kind is not None else None


class EndpointKindName(str):
    """A name of `ENDPOINT_KINDS`, for pydantic's models."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Any of the declared names, and the error of a `Literal` for all else."""
        return core_schema.literal_schema(list(ENDPOINT_KINDS))
