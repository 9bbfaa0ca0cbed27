"""The exchanges of a lab: their controllers' HTTP APIs, and the circuits that are there from the beginning
(W5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from uclab.lab.circuits import CircuitOrder, NoSuchCircuit, WrongOrder, body_of, ordered
from uclab.lab.controllers import api_of
from uclab.lab.errors import Refused, RefusedCircuit
from uclab.plan.schema.sdn_fabric import CircuitExchange
from uclab.runtime.node import NotReady

ANSWER_S = 10.0


class CircuitNotMade(Exception):
    """An exchange refuses a circuit, or a switch of it does not answer; the message is the exchange's."""


class CircuitWrong(CircuitNotMade):
    """The circuit itself is wrong, or in conflict with a port or another circuit."""


class Exchanges:
    """Asks the controllers."""

    def __init__(self, planned: Sequence[CircuitExchange], sockets: Path) -> None:
        self._planned = {exchange.name: exchange for exchange in planned}
        self._sockets = sockets
        self._made: dict[str, dict[str, object]] = {name: {} for name in self._planned}
        """Exchange to the circuits that it was told, by name: a controller that starts over knows none."""

    async def provision(self) -> None:
        """Make the planned circuits; returns when every switch has acknowledged each. Raises `NotReady`."""
        for exchange in self._planned.values():
            for circuit in exchange.circuits:
                self._made[exchange.name][circuit.name] = body_of(circuit)
            await self.tell_again(exchange.name)

    async def tell_again(self, exchange: str) -> None:
        """Make all circuits of an exchange that there ought to be. Raises `NotReady`."""
        for name, body in self._made[exchange].items():
            try:
                await self._ask(exchange, "PUT", f"/circuits/{name}", body)
            except CircuitNotMade as error:
                raise NotReady(f"exchange {exchange}: {error}") from error

    async def list(self) -> dict[str, dict[str, Any]]:
        """Exchange to its circuits by name."""
        return {name: await self._ask(name, "GET", "/circuits") for name in self._planned}

    async def put(self, name: str, order: CircuitOrder, *, create: bool) -> dict[str, Any]:
        """Create or change a circuit. Raises `CircuitNotMade`, `NoSuchCircuit`."""
        present = await self.list()
        exchange, body = ordered(name, order, self._planned, present, create=create)
        made: dict[str, Any] = await self._ask(exchange, "PUT", f"/circuits/{name}", body)
        self._made[exchange][name] = body
        return made

    async def remove(self, name: str) -> None:
        """Remove a circuit. Raises `CircuitNotMade`, `NoSuchCircuit`."""
        present = await self.list()
        exchange = next((candidate for candidate, circuits in present.items() if name in circuits), None)
        if exchange is None:
            raise NoSuchCircuit(name, _names(present))
        await self._ask(exchange, "DELETE", f"/circuits/{name}")
        self._made[exchange].pop(name, None)

    async def _ask(self, exchange: str, method: str, path: str, body: object | None = None) -> Any:
        transport = httpx.AsyncHTTPTransport(uds=str(api_of(self._sockets, exchange)))
        try:
            async with httpx.AsyncClient(
                transport=transport, base_url="http://exchange", timeout=ANSWER_S
            ) as api:
                response = await api.request(method, path, json=body)
        except httpx.TransportError as error:
            raise CircuitNotMade(f"the controller of {exchange} does not answer: {error!r}") from error
        answer: Any = response.json() if response.content else None
        if response.status_code >= 400:
            wrong = response.status_code < 500
            raise (CircuitWrong if wrong else CircuitNotMade)(answer["error"])
        return answer


@contextmanager
def refusals() -> Iterator[None]:
    """What is said against an order, as the lab's refusal."""
    try:
        yield
    except (NoSuchCircuit, WrongOrder, CircuitWrong) as error:
        raise RefusedCircuit(str(error)) from error
    except CircuitNotMade as error:
        raise Refused(str(error)) from error


def _names(present: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    return [name for circuits in present.values() for name in circuits]
