"""The exchange's HTTP API: private circuits created, changed and removed (`/openapi.json`)."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from controllers.circuits import Circuit, CircuitRefused, End
from uclab.access.bounded import BoundedBodies, problems, unknown
from uclab.access.names import DEVICE, WrongName
from uclab.plan.lan.spanning_trees import PortRef

Dscp = Annotated[int, Field(ge=0, le=63)]
Pcp = Annotated[int, Field(ge=0, le=7)]


class SwitchesSilent(Exception):
    """A switch is away, refuses a rule, or has not answered in time; nothing was changed for good."""


class Circuits(Protocol):
    """What the API acts on. A change returns when every switch has carried it out."""

    def read(self) -> dict[str, Circuit]:
        """By name."""

    def put(self, circuit: Circuit) -> bool:
        """Create (True) or change. Raises `CircuitRefused`, `SwitchesSilent`."""

    def remove(self, name: str) -> None:
        """Raises `KeyError`, `SwitchesSilent`."""


class EndBody(BaseModel):
    """Where a customer hands frames over."""

    model_config = ConfigDict(extra="forbid")
    switch: Annotated[str, Field(pattern=DEVICE.whole)]
    port: int = Field(ge=1, le=65535)
    vlan: int = Field(ge=1, le=4094)
    prefixes: list[IPv4Network] = Field(
        min_length=1, max_length=64, description="networks that live behind this end"
    )

    def end(self) -> End:
        """As the controller has it."""
        return End(PortRef(self.switch, self.port), self.vlan, tuple(self.prefixes))


class CircuitBody(BaseModel):
    """A private circuit: its ends, its rate in each direction, its QoS level and its security policy."""

    model_config = ConfigDict(extra="forbid")
    a: EndBody
    b: EndBody
    rate_kbps: int = Field(ge=1, le=100_000_000, description="in each direction")
    pcp: Pcp | None = Field(default=0, description="802.1p priority of all frames; null keeps the sender's")
    dscp: Dscp | None = Field(default=None, description="mark for all packets; null keeps the sender's")
    allowed_dscp: list[Dscp] | None = Field(
        default=None, min_length=1, max_length=64, description="marks that may come in; null is any"
    )

    def circuit(self, name: str) -> Circuit:
        """As the controller has it."""
        allowed = None if self.allowed_dscp is None else frozenset(self.allowed_dscp)
        return Circuit(
            name, self.a.end(), self.b.end(), self.rate_kbps, self.pcp, self.dscp, allowed_dscp=allowed
        )


def to_body(circuit: Circuit) -> CircuitBody:
    """The inverse of `CircuitBody.circuit`."""
    ends = [
        EndBody(switch=e.port.switch, port=e.port.port, vlan=e.vlan, prefixes=list(e.prefixes))
        for e in (circuit.a, circuit.b)
    ]
    allowed = None if circuit.allowed_dscp is None else sorted(circuit.allowed_dscp)
    return CircuitBody(
        a=ends[0], b=ends[1], rate_kbps=circuit.rate_kbps, pcp=circuit.pcp, dscp=circuit.dscp,
        allowed_dscp=allowed,
    )  # fmt: skip


def make_api(circuits: Circuits) -> Starlette:
    """The API over an exchange."""

    async def every(_: Request) -> Response:
        return JSONResponse({name: _json(circuit) for name, circuit in circuits.read().items()})

    async def one(request: Request) -> Response:
        return JSONResponse(_json(circuits.read()[request.path_params["name"]]))

    async def put(request: Request) -> Response:
        name = DEVICE.checked("circuit", request.path_params["name"])
        circuit = CircuitBody.model_validate_json(await request.body()).circuit(name)
        created = await run_in_threadpool(circuits.put, circuit)
        return JSONResponse(_json(circuit), status_code=201 if created else 200)

    async def remove(request: Request) -> Response:
        await run_in_threadpool(circuits.remove, request.path_params["name"])
        return Response(status_code=204)

    async def description(_: Request) -> Response:
        return JSONResponse(openapi())

    return Starlette(
        routes=[
            Route("/openapi.json", description),
            Route("/circuits", every),
            Route("/circuits/{name}", one),
            Route("/circuits/{name}", put, methods=["PUT"]),
            Route("/circuits/{name}", remove, methods=["DELETE"]),
        ],
        middleware=[Middleware(BoundedBodies)],
        exception_handlers={
            HTTPException: unknown,
            ValidationError: _error(400, problems),
            WrongName: _error(400, str),
            KeyError: _error(404, lambda e: f"there is no circuit `{e.args[0]}`"),
            CircuitRefused: _error(409, str),
            SwitchesSilent: _error(503, str),
        },
    )


def openapi() -> dict[str, Any]:
    """The description (OpenAPI 3.1)."""
    schema = CircuitBody.model_json_schema(ref_template="#/components/schemas/{model}")
    parts = schema.pop("$defs")
    body = {"application/json": {"schema": {"$ref": "#/components/schemas/CircuitBody"}}}
    errors = {
        "400": "not a circuit", "404": "no such circuit", "413": "the body is too long",
        "409": "in conflict with ports or other circuits",
        "503": "a switch is away or refuses; nothing changed",
    }  # fmt: skip

    def answers(good: dict[str, Any], *codes: str) -> dict[str, Any]:
        return {**good, **{code: {"description": errors[code]} for code in codes}}

    found = {"description": "the circuit", "content": body}
    every = {"type": "object", "additionalProperties": {"$ref": "#/components/schemas/CircuitBody"}}
    name = {
        "name": "name",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "pattern": DEVICE.whole},
    }
    listed = {"description": "by name", "content": {"application/json": {"schema": every}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Private circuits of an exchange", "version": "1"},
        "paths": {
            "/circuits": {"get": {"summary": "all circuits", "responses": {"200": listed}}},
            "/circuits/{name}": {
                "parameters": [name],
                "get": {"summary": "one circuit", "responses": answers({"200": found}, "404")},
                "put": {
                    "summary": "create or change; answered when every switch has done it",
                    "requestBody": {"required": True, "content": body},
                    "responses": answers({"200": found, "201": found}, "400", "409", "413", "503"),
                },
                "delete": {
                    "summary": "remove",
                    "responses": answers({"204": {"description": "removed"}}, "404", "503"),
                },
            },
        },
        "components": {"schemas": {"CircuitBody": schema, **parts}},
    }


def _json(circuit: Circuit) -> Any:
    return to_body(circuit).model_dump(mode="json")


def _error(status: int, text: Callable[[Any], str]) -> Callable[[Request, Exception], Response]:
    return lambda _, error: JSONResponse({"error": text(error)}, status_code=status)
