"""What may be asked of a lab, as it comes in by its API: typed, every name by its pattern, every number and
time with bounds. Anything else is refused before the lab hears of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from uclab.access.names import CALL, DEVICE, MESSAGES, PARTY, PORT, TEXT
from uclab.lab.circuits import CircuitOrder
from uclab.lab.client import LONGEST_WORDS, CallOrder, MessageOrder
from uclab.plan.paths.line_loss import call_s
from uclab.plan.schema.plan import Plan

LONGEST_CALL_S = 86_400.0
HIGHEST_RATE_KBPS = 100_000_000
MOST_PREFIXES = 64
MOST_MESSAGES = 1000
LONGEST_PAUSE_S = 3600.0

Device = Annotated[str, StringConstraints(pattern=DEVICE.whole)]
Party = Annotated[str, StringConstraints(pattern=PARTY.whole)]
CallId = Annotated[str, StringConstraints(pattern=CALL.whole)]
MessageId = Annotated[str, StringConstraints(pattern=MESSAGES.whole)]
Text = Annotated[str, StringConstraints(pattern=TEXT.whole)]
Port = Annotated[str, StringConstraints(pattern=PORT.whole)]
Prefix = Annotated[str, StringConstraints(pattern=r"^[0-9.]{7,15}(?:/[0-9]{1,2})?$")]
Figure = Annotated[str, StringConstraints(pattern=r"^[+-]?[0-9a-zA-Z._+-]{0,31}$")]
Dscp = Annotated[int, Field(ge=0, le=63)]
Seconds = Annotated[float, Field(ge=0, le=LONGEST_CALL_S, allow_inf_nan=False)]
Number = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]


class Body(BaseModel):
    """Base of every body: unknown keys are errors, nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class CallBody(Body):
    """A call to place; see `CallOrder`."""

    id: CallId
    caller: Device
    callee: Party
    kind: Device = "call"
    seconds: Seconds | None = None
    hold: bool = False
    hold_after: Seconds | None = None
    transfer_to: Device | None = None
    transfer_seconds: Seconds | None = None

    @model_validator(mode="after")
    def _holds_within(self) -> CallBody:
        if self.hold_after is not None and (self.seconds is None or self.hold_after > self.seconds):
            raise ValueError("`hold_after` is later than the end of the call (`seconds`)")
        return self

    def order(self, plan: Plan) -> CallOrder:
        """As the lab takes it: with its lengths."""
        order = CallOrder(**self.model_dump())
        if self.seconds is None:
            order = replace(order, seconds=call_s(plan, order.caller, order.callee))
        if self.transfer_to is not None and self.transfer_seconds is None:
            order = replace(order, transfer_seconds=call_s(plan, order.callee, self.transfer_to))
        return order


class MessageBody(Body):
    """Text messages to send; see `MessageOrder`."""

    id: MessageId
    sender: Device
    recipient: Device
    count: int = Field(default=1, ge=1, le=MOST_MESSAGES)
    text: Text | None = None
    every_s: float = Field(default=0.0, ge=0, le=LONGEST_PAUSE_S)

    def order(self) -> MessageOrder:
        """As the lab takes it."""
        return MessageOrder(**self.model_dump())


class FailBody(Body):
    """How to break something; see `LabClient.fail`."""

    how: Device = "cut"
    figures: dict[Device, Number | Figure] = Field(default={}, max_length=8)


class CircuitBody(Body):
    """A private circuit; see `CircuitOrder`."""

    a: Port | None = None
    b: Port | None = None
    vlan: int | None = Field(default=None, ge=1, le=4094)
    a_prefixes: list[Prefix] = Field(default=[], max_length=MOST_PREFIXES)
    b_prefixes: list[Prefix] = Field(default=[], max_length=MOST_PREFIXES)
    rate_kbps: int | None = Field(default=None, ge=1, le=HIGHEST_RATE_KBPS)
    pcp: int | None = Field(default=None, ge=0, le=7)
    dscp: Dscp | None = None
    allowed_dscp: list[Dscp] | None = Field(default=None, max_length=64)
    keep: list[Literal["pcp", "dscp", "allowed_dscp"]] = Field(default=[], max_length=3)

    def order(self) -> CircuitOrder:
        """As the lab takes it."""
        return CircuitOrder(
            self.a,
            self.b,
            self.vlan,
            tuple(self.a_prefixes),
            tuple(self.b_prefixes),
            self.rate_kbps,
            self.pcp,
            self.dscp,
            None if self.allowed_dscp is None else tuple(self.allowed_dscp),
            tuple(self.keep),
        )


class HandBody(Body):
    """What somebody is about to run in a node, in words for the record."""

    command: str = Field(max_length=LONGEST_WORDS)


class Nothing(Body):
    """Orders that say all by their path have no body, or an empty one."""
