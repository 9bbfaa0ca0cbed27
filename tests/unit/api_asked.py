"""An HTTP API asked whatever fits its description, and whatever does not: no answer may be an error of its
own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.checks import not_a_server_error

App = Callable[[Any, Any, Any], Awaitable[None]]


def ask_everything(service: App, *, examples: int, but: str | None = None) -> None:
    """The same questions each time; `but` is a path that is left out."""
    description: Any = schemathesis.openapi.from_asgi("/openapi.json", service)
    if but is not None:
        description = description.exclude(path=but)

    @seed(10)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=description.as_strategy())
    def ask(case: Any) -> None:
        case.call_and_validate(checks=[not_a_server_error])

    ask()


def behind(socket: Path) -> App:
    """The API behind a UNIX socket, as an application of this process."""

    async def forward(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for step in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{step}.complete"})
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        target = scope.get("raw_path", b"/").split(b"?")[0]
        query = b"?" + scope["query_string"] if scope["query_string"] else b""
        url = httpx.URL("http://lab").copy_with(raw_path=target + query)
        transport = httpx.AsyncHTTPTransport(uds=str(socket))
        async with httpx.AsyncClient(transport=transport, timeout=60) as client:
            answer = await client.request(scope["method"], url, headers=scope["headers"], content=body)
        headers = [(b"content-type", answer.headers.get("content-type", "").encode())]
        await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": answer.content})

    return forward
