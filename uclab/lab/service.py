"""The supervisor's HTTP API on its UNIX socket: thin routes over `Lab`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from uclab.lab.circuits import CircuitOrder
from uclab.lab.client import NO_ROOM, WRONG_ORDER, CallOrder
from uclab.lab.lab import Lab
from uclab.lab.refused import Refused, RefusedCircuit
from uclab.plan.codec import from_data

Handler = Callable[[Request], Awaitable[Response]]


def make_service(lab: Lab, stop: Callable[[], None]) -> Starlette:
    """The API of one lab; `stop` is called when `/down` has been answered."""

    async def state(_: Request) -> Response:
        return JSONResponse(lab.state())

    async def inspect(request: Request) -> Response:
        return JSONResponse(await lab.inspect(request.query_params.get("subject")))

    async def events(request: Request) -> Response:
        start = int(request.query_params.get("start", "0"))

        async def lines() -> AsyncIterator[str]:
            async for event in lab.events.read(start):
                yield json.dumps(asdict(event)) + "\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    async def call(request: Request) -> Response:
        return JSONResponse(asdict(await lab.place(CallOrder(**await request.json()))))

    async def bulk(request: Request) -> Response:
        await lab.set_bulk(request.path_params["action"])
        return JSONResponse({"done": request.path_params["action"]})

    async def fail(request: Request) -> Response:
        wanted = json.loads(await request.body() or b"{}")
        done = await lab.fail(
            request.path_params["name"], wanted.get("how", "cut"), wanted.get("figures", {})
        )
        return JSONResponse({"done": done})

    async def heal(request: Request) -> Response:
        return JSONResponse({"done": await lab.heal(request.path_params["name"])})

    async def overlays(_: Request) -> Response:
        return JSONResponse(await lab.overlays())

    async def circuits(_: Request) -> Response:
        return JSONResponse(await lab.circuits())

    async def create_circuit(request: Request) -> Response:
        return JSONResponse(await lab.put_circuit(*await _order(request), create=True))

    async def change_circuit(request: Request) -> Response:
        return JSONResponse(await lab.put_circuit(*await _order(request), create=False))

    async def remove_circuit(request: Request) -> Response:
        return JSONResponse(await lab.remove_circuit(request.path_params["name"]))

    async def command(request: Request) -> Response:
        body = await request.json()
        return JSONResponse({"argv": lab.command_in(request.path_params["name"], body["command"])})

    async def namespace(request: Request) -> Response:
        return JSONResponse({"path": lab.namespace_of(request.path_params["name"])})

    async def down(_: Request) -> Response:
        async def answered() -> None:
            stop()

        return JSONResponse(await lab.down(), background=BackgroundTask(answered))

    return Starlette(
        routes=[
            Route("/state", refusals(state)),
            Route("/inspect", refusals(inspect)),
            Route("/events", refusals(events)),
            Route("/calls", refusals(call), methods=["POST"]),
            Route("/bulk/{action}", refusals(bulk), methods=["POST"]),
            Route("/fail/{name}", refusals(fail), methods=["POST"]),
            Route("/heal/{name}", refusals(heal), methods=["POST"]),
            Route("/circuits", refusals(circuits)),
            Route("/circuits/{name}", refusals(create_circuit), methods=["POST"]),
            Route("/circuits/{name}", refusals(change_circuit), methods=["PATCH"]),
            Route("/circuits/{name}", refusals(remove_circuit), methods=["DELETE"]),
            Route("/nodes/{name}/command", refusals(command), methods=["POST"]),
            Route("/nodes/{name}/namespace", refusals(namespace)),
            Route("/overlays", refusals(overlays)),
            Route("/down", refusals(down), methods=["POST"]),
        ]
    )


def refusals(handler: Handler) -> Handler:
    """Turn a refusal into an answer that the client prints."""

    async def guarded(request: Request) -> Response:
        try:
            return await handler(request)
        except Refused as refused:
            status = WRONG_ORDER if isinstance(refused, RefusedCircuit) else 409
            return JSONResponse({"error": str(refused)}, status_code=status)
        except OSError as error:  # a full disk, most of all
            return JSONResponse({"error": f"the lab cannot go on: {error}"}, status_code=NO_ROOM)

    return guarded


async def _order(request: Request) -> tuple[str, CircuitOrder]:
    return request.path_params["name"], from_data(CircuitOrder, await request.json())
