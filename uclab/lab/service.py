"""The supervisor's HTTP API on its UNIX socket: thin routes over `Lab`. What comes in is looked at here, once
(`uclab.lab.orders`); described at `/openapi.json`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from typing import TypeVar

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from uclab.access.bounded import BoundedBodies, problems, unknown
from uclab.access.names import DEVICE, WrongName
from uclab.lab.client import NO_ROOM, REFUSED, WRONG_ORDER, WRONG_REQUEST
from uclab.lab.description import openapi
from uclab.lab.errors import Refused, RefusedCircuit
from uclab.lab.lab import Lab
from uclab.lab.orders import Body, CallBody, CircuitBody, FailBody, HandBody, MessageBody, Nothing

Handler = Callable[[Request], Awaitable[Response]]
B = TypeVar("B", bound=Body)
LAST_EVENT = 10**9


def make_service(lab: Lab, stop: Callable[[], None]) -> Starlette:
    """The API of one lab; `stop` is called when `/down` has been answered."""

    async def description(_: Request) -> Response:
        return JSONResponse(openapi())

    async def state(_: Request) -> Response:
        return JSONResponse(lab.state())

    async def inspect(request: Request) -> Response:
        subject = request.query_params.get("subject")
        return JSONResponse(
            await lab.inspect(None if subject is None else DEVICE.checked("subject", subject))
        )

    async def events(request: Request) -> Response:
        text = request.query_params.get("start", "0")
        if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= LAST_EVENT):
            raise WrongName("`start` is the number of an event, 0 or more")

        async def lines() -> AsyncIterator[str]:
            async for event in lab.events.read(int(text)):
                yield json.dumps(asdict(event)) + "\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    async def call(request: Request) -> Response:
        order = (await body_of(request, CallBody)).order(lab.plan)
        with lab.orders.noted("call", order.id, order):
            return JSONResponse(asdict(await lab.place(order)))

    async def messages(request: Request) -> Response:
        order = (await body_of(request, MessageBody)).order()
        with lab.orders.noted("message", order.id, messages=order.asked):
            return JSONResponse({"messages": [asdict(record) for record in await lab.send(order)]})

    async def bulk(request: Request) -> Response:
        await body_of(request, Nothing)
        action = name_of(request, "action")
        with lab.orders.noted("bulk", action):
            await lab.set_bulk(action)
        return JSONResponse({"done": action})

    async def fail(request: Request) -> Response:
        wanted, name = await body_of(request, FailBody), name_of(request)
        with lab.orders.noted("fail", name):
            return JSONResponse({"done": await lab.fail(name, wanted.how, wanted.figures)})

    async def heal(request: Request) -> Response:
        await body_of(request, Nothing)
        name = name_of(request)
        with lab.orders.noted("heal", name):
            return JSONResponse({"done": await lab.heal(name)})

    async def overlays(_: Request) -> Response:
        return JSONResponse(await lab.overlays())

    async def circuits(_: Request) -> Response:
        return JSONResponse(await lab.circuits())

    async def put_circuit(request: Request) -> Response:
        order = (await body_of(request, CircuitBody)).order()
        return JSONResponse(await lab.put_circuit(name_of(request), order, create=request.method == "POST"))

    async def remove_circuit(request: Request) -> Response:
        await body_of(request, Nothing)
        return JSONResponse(await lab.remove_circuit(name_of(request)))

    async def namespace(request: Request) -> Response:
        return JSONResponse({"path": lab.namespace_of(name_of(request))})

    async def hand(request: Request) -> Response:
        note = await body_of(request, HandBody)
        place = lab.hand_in(name_of(request), note.command)
        return JSONResponse({"path": place.namespace, "files": dict(place.files)})

    async def down(request: Request) -> Response:
        async def answered() -> None:
            stop()

        await body_of(request, Nothing)
        return JSONResponse(await lab.down(), background=BackgroundTask(answered))

    return Starlette(
        routes=[
            Route("/openapi.json", description),
            Route("/state", state),
            Route("/inspect", inspect),
            Route("/events", events),
            Route("/calls", call, methods=["POST"]),
            Route("/messages", messages, methods=["POST"]),
            Route("/bulk/{action}", bulk, methods=["POST"]),
            Route("/fail/{name}", fail, methods=["POST"]),
            Route("/heal/{name}", heal, methods=["POST"]),
            Route("/circuits", circuits),
            Route("/circuits/{name}", put_circuit, methods=["POST", "PATCH"]),
            Route("/circuits/{name}", remove_circuit, methods=["DELETE"]),
            Route("/nodes/{name}/namespace", namespace),
            Route("/nodes/{name}/hand", hand, methods=["POST"]),
            Route("/overlays", overlays),
            Route("/down", down, methods=["POST"]),
        ],
        middleware=[Middleware(BoundedBodies)],
        exception_handlers={
            HTTPException: unknown,
            ValidationError: _answer(WRONG_REQUEST, problems),
            WrongName: _answer(WRONG_REQUEST, str),
            RefusedCircuit: _answer(WRONG_ORDER, str),
            Refused: _answer(REFUSED, str),
            # most of all a full disk
            OSError: _answer(NO_ROOM, lambda error: f"the lab cannot go on: {error}"),
        },
    )


async def body_of(request: Request, kind: type[B]) -> B:
    """The body as a model; without one, the model's defaults."""
    return kind.model_validate_json(await request.body() or b"{}")


def name_of(request: Request, what: str = "name") -> str:
    """A name in the path. Raises `WrongName`."""
    return DEVICE.checked(what, request.path_params[what])


def _answer(status: int, text: Callable[..., str]) -> Callable[[Request, Exception], Response]:
    """A refusal in the form that the client prints."""
    return lambda _, error: JSONResponse({"error": text(error)}, status_code=status)
