"""What a carrier's network is: all that topology, plan and documentation need to know of its kind.

Each is declared in a module (entry points `uclab.carrier_kinds`); names of kinds are the values of `kind` of
a topology's carrier.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from uclab.declarations import Declarations


@dataclass(frozen=True)
class CarrierKind:
    """A kind of network that carries private circuits."""

    name: str
    title: str
    """One of it in a sentence: `a label-switched core`."""
    what: str
    """For people, as Markdown."""
    requirements: tuple[str, ...]
    transport: str | None
    """`module:object` of how its switches carry circuits (`uclab.plan.wan.provider_circuit.Transport`);
    loaded by the plan. None: a controller programs them, circuit by circuit, while the lab runs."""
    other_customers: bool = False
    """Whether it can carry another customer with the same addresses (`other_customer`)."""

    @property
    def programmed(self) -> bool:
        """Whether a controller programs it while the lab runs."""
        return self.transport is None

    def load_transport(self) -> Any:
        """How its switches carry circuits."""
        if self.transport is None:
            raise ValueError(f"{self.name}: a controller programs this kind of carrier")
        return EntryPoint(self.name, self.transport, CARRIER_KINDS.group).load()


CARRIER_KINDS: Declarations[CarrierKind] = Declarations("uclab.carrier_kinds", "kind of carrier")
"""All kinds by name."""


def carrier_kind_of(name: str | None) -> CarrierKind | None:
    """The kind of that name; None where there is none."""
    return CARRIER_KINDS.get(name) if name is not None else None


class CarrierKindName(str):
    """A name of `CARRIER_KINDS`, for pydantic's models."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Any of the declared names, and the error of a `Literal` for all else."""
        return core_schema.literal_schema(list(CARRIER_KINDS))
