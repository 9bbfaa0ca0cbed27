"""The description of a lab's API (OpenAPI 3.1), for people, clients and tests (pure)."""

from __future__ import annotations

from typing import Any

from uclab.access.names import DEVICE
from uclab.lab.orders import Body, CallBody, CircuitBody, FailBody, HandBody, MessageBody

ANSWERS = {
    "400": "not an order",
    "404": "no such path",
    "409": "the lab cannot do that now, or there is no such thing",
    "413": "the body is too long",
    "422": "there can be no such circuit",
}
NAME = {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "pattern": DEVICE.whole}}
ACTION = {**NAME, "name": "action"}
SUBJECT = {**NAME, "name": "subject", "in": "query", "required": False}


def openapi() -> dict[str, Any]:
    """All paths but `/events`, whose answer has no end."""
    schemas: dict[str, Any] = {}
    for model in (CallBody, MessageBody, FailBody, CircuitBody, HandBody):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    return {
        "openapi": "3.1.0",
        "info": {"title": "A lab", "version": "1"},
        "paths": {
            "/state": {"get": _operation("phase, endpoints, timings")},
            "/inspect": {"get": _operation("one device, or the lab, in detail", "400", "409", of=[SUBJECT])},
            "/calls": {
                "post": _operation("place a call; answered at its end", "400", "409", "413", body=CallBody)
            },
            "/messages": {
                "post": _operation(
                    "send text messages; answered when the last was", "400", "409", "413", body=MessageBody
                )
            },
            "/bulk/{action}": {"post": _operation("bulk traffic", "400", "404", "409", "413", of=[ACTION])},
            "/fail/{name}": {
                "post": _operation(
                    "break a link or a node", "400", "404", "409", "413", of=[NAME], body=FailBody
                )
            },
            "/heal/{name}": {"post": _operation("restore it", "400", "404", "409", "413", of=[NAME])},
            "/circuits": {"get": _operation("private circuits", "409", "422")},
            "/circuits/{name}": {
                method: _operation(
                    f"{what} a private circuit",
                    *("400", "404", "409", "413", "422"),
                    of=[NAME],
                    body=None if method == "delete" else CircuitBody,
                )
                for method, what in (("post", "create"), ("patch", "change"), ("delete", "remove"))
            },
            "/nodes/{name}/namespace": {
                "get": _operation("a node's network namespace", "400", "404", "409", of=[NAME])
            },
            "/nodes/{name}/hand": {
                "post": _operation(
                    "note a command by hand; answered with the node's network namespace",
                    *("400", "404", "409", "413"),
                    of=[NAME],
                    body=HandBody,
                )
            },
            "/overlays": {"get": _operation("the SD-WAN", "409")},
            "/down": {"post": _operation("take the lab down", "400", "413")},
        },
        "components": {"schemas": schemas},
    }


def _operation(
    summary: str, *errors: str, of: list[dict[str, Any]] | None = None, body: type[Body] | None = None
) -> dict[str, Any]:
    answer = {"description": "done", "content": {"application/json": {"schema": {}}}}
    operation: dict[str, Any] = {
        "summary": summary,
        "responses": {"200": answer, **{code: {"description": ANSWERS[code]} for code in errors}},
    }
    if of:
        operation["parameters"] = of
    if body is not None:
        reference = {"$ref": f"#/components/schemas/{body.__name__}"}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": reference}}}
    return operation
