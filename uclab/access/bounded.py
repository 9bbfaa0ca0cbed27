"""Bounds of an HTTP API: how long a body may be, held while it arrives; every error is JSON in one form."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from uclab.access.names import quoted

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY = 64 * 1024
"""Bytes. The longest order that makes sense, a command for a node, has a few kilobytes."""
TOO_LARGE = 413


class BoundedBodies:
    """An API behind it is never given more of a body than `MAX_BODY` bytes: who says or sends more is refused
    with 413 and not read any further."""

    def __init__(self, app: App, most: int = MAX_BODY) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As of ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = dict(scope["headers"]).get(b"content-length", b"0")
        if not said.isdigit() or int(said) > self._most:
            await _refuse(send, self._most)
            return
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._most:
                await _refuse(send, self._most)
                return
        given = False

        async def receive_whole() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, receive_whole, send)


async def _refuse(send: Send, most: int) -> None:
    content = json.dumps({"error": f"the body is longer than {most} bytes"}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": TOO_LARGE, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def unknown(request: Request, error: Exception) -> Response:
    """The answer where there is no such path, or it does not take that method."""
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path[:100]}: {error.detail.lower()}; see /openapi.json"
    return JSONResponse({"error": message}, status_code=error.status_code, headers=error.headers)


def problems(error: ValidationError) -> str:
    """What is wrong with a body, each field in words."""
    return "; ".join(_problem(detail) for detail in error.errors(include_url=False)[:8])


def _problem(error: Any) -> str:
    where = ".".join(str(part)[:40] for part in error["loc"])
    found = error.get("input")
    said = isinstance(found, str | float) or (isinstance(found, int) and found.bit_length() < 64)
    shown = f", found {quoted(str(found))}" if said else ""
    return f"{quoted(where) if where else 'the body'}: {error['msg']}{shown}"
