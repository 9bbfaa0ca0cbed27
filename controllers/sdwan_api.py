"""The SD-WAN controller's HTTP API: agents report and are told, people look (`/openapi.json`)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from controllers.path_metrics import Figures
from controllers.sdwan_state import SdWanState
from uclab.access.bounded import BoundedBodies, problems, unknown
from uclab.access.names import DEVICE, WrongName

LONGEST_MS = 3_600_000
"""No probe is waited for so long."""
Path = Annotated[str, StringConstraints(pattern=DEVICE.whole)]


class FiguresBody(BaseModel):
    """What a path does to probes, one way."""

    model_config = ConfigDict(extra="forbid")
    delay_ms: float = Field(ge=0, le=LONGEST_MS, allow_inf_nan=False)
    jitter_ms: float = Field(ge=0, le=LONGEST_MS, allow_inf_nan=False)
    loss_pct: float = Field(ge=0, le=100, allow_inf_nan=False)


class ReportBody(BaseModel):
    """What one end of a site's tunnels measured of what arrives there."""

    model_config = ConfigDict(extra="forbid")
    side: Literal["edge", "gateway"]
    paths: dict[Path, FiguresBody | None] = Field(
        max_length=64, description="by connection; null: no probe has arrived yet"
    )


class OverlayBody(BaseModel):
    """A site's overlay as the controller sees it."""

    paths: dict[str, FiguresBody | None] = Field(
        description="the worse of both directions, by connection in order of preference"
    )
    choice: dict[str, str] = Field(description="traffic class to connection")


def make_api(state: SdWanState) -> Starlette:
    """The API over a state."""

    async def every(_: Request) -> Response:
        return JSONResponse({site: _overlay(state, site) for site in state.sites})

    async def report(request: Request) -> Response:
        body = ReportBody.model_validate_json(await request.body())
        figures = {
            path: Figures(path_figures.delay_ms, path_figures.jitter_ms, path_figures.loss_pct)
            if path_figures is not None
            else None
            for path, path_figures in body.paths.items()
        }
        site = DEVICE.checked("site", request.path_params["site"])
        return JSONResponse(state.report(site, body.side, figures, time.monotonic()))

    async def description(_: Request) -> Response:
        return JSONResponse(openapi())

    async def invalid(_: Request, error: Exception) -> Response:
        problem = problems(error) if isinstance(error, ValidationError) else str(error)
        return JSONResponse({"error": problem}, status_code=400)

    async def no_site(_: Request, error: Exception) -> Response:
        return JSONResponse({"error": f"there is no site `{error.args[0]}`"}, status_code=404)

    return Starlette(
        routes=[
            Route("/openapi.json", description),
            Route("/overlays", every),
            Route("/overlays/{site}/reports", report, methods=["POST"]),
        ],
        middleware=[Middleware(BoundedBodies)],
        exception_handlers={
            HTTPException: unknown,
            ValidationError: invalid,
            WrongName: invalid,
            KeyError: no_site,
        },
    )


def openapi() -> dict[str, Any]:
    """The description (OpenAPI 3.1)."""
    schemas: dict[str, Any] = {}
    for model in (ReportBody, OverlayBody):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    overlays = {"type": "object", "additionalProperties": {"$ref": "#/components/schemas/OverlayBody"}}
    choice = {"type": "object", "additionalProperties": {"type": "string"}}
    body = {"application/json": {"schema": {"$ref": "#/components/schemas/ReportBody"}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "SD-WAN controller", "version": "1"},
        "paths": {
            "/overlays": {
                "get": {"summary": "all overlays", "responses": {"200": _content("by site", overlays)}}
            },
            "/overlays/{site}/reports": {
                "parameters": [
                    {"name": "site", "in": "path", "required": True, "schema": {"type": "string"}}
                ],
                "post": {
                    "summary": "an agent's report; answered with the path of each class",
                    "requestBody": {"required": True, "content": body},
                    "responses": {
                        "200": _content("class to connection", choice),
                        "400": {"description": "not a report"},
                        "404": {"description": "no such site"},
                    },
                },
            },
        },
        "components": {"schemas": schemas},
    }


def as_body(paths: Mapping[str, Figures | None]) -> dict[str, Any]:
    """Figures as they are sent."""
    return {path: vars(figures) if figures is not None else None for path, figures in paths.items()}


def _overlay(state: SdWanState, site: str) -> dict[str, Any]:
    return {"paths": as_body(state.figures(site, time.monotonic())), "choice": state.choice(site)}


def _content(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
