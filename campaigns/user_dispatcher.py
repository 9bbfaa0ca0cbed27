"""Who sits where: callers of the telephone network at the load generator there, everybody else at sites; and
who came, so that nobody calls an account that nobody plays.

locust spreads users of all classes evenly over all workers. Here each worker tells the leader, by a message
of locust's own kind, whether it is in the telephone network, and a dispatcher, which locust lets its users
choose, keeps to that.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterable
from typing import Any

import gevent
from gevent.event import Event
from locust import events
from locust.dispatch import UsersDispatcher
from locust.runners import MasterRunner, WorkerRunner

from campaigns.greenlet_wait import until
from campaigns.worker_context import place
from uclab.plan.load.record import POOL_VARIABLE

SITS, CAME, THERE = "uclab-sits", "uclab-came", "uclab-there"
"""Messages: a worker tells whether it is outside; who plays there; the leader tells all who came."""
TOLD_S = 10.0
"""How long the leader waits for its workers to tell where they are."""
REGISTERED_S = 10.0
"""How long users may take to register until others call them."""
_log = logging.getLogger(__name__)


class Seats:
    """The leader's: where its workers are, and who came to them."""

    def __init__(self) -> None:
        self.outside: dict[str, bool] = {}
        """Worker -> whether it is in the telephone network."""
        self.came: dict[str, list[str]] = {}
        """Worker -> extensions that are played there."""
        self._told = Event()

    def sits(self, worker: str, outside: bool) -> None:
        """A worker tells."""
        self.outside[worker] = outside
        self._told.set()

    def wait(self, workers: Iterable[str], deadline_s: float) -> bool:
        """Whether all have told by then."""
        wanted = set(workers)
        return until(lambda: wanted <= self.outside.keys(), self._told, deadline_s)

    @property
    def there(self) -> list[str]:
        """All extensions that are played."""
        return sorted(itertools.chain.from_iterable(self.came.values()))


seats = Seats()
everybody_is_there = Event()
"""Set when the campaign's users have begun and registered: before, the called one may not be there yet."""


class Turns:
    """Whose turn it is to get a user: one of the workers where such users sit, or of all where none is."""

    def __init__(self, workers: Iterable[Any], outside: dict[str, bool]) -> None:
        everywhere = list(workers)
        self._cycles = {
            seat: itertools.cycle(
                [worker for worker in everywhere if outside.get(worker.id, False) is seat] or everywhere
            )
            for seat in (True, False)
        }

    def next(self, outside: bool) -> Any:
        """The worker."""
        return next(self._cycles[outside])


class BySeat(UsersDispatcher):
    """locust's dispatcher, but that each user goes to a worker where such users sit.

    Where no worker is in the telephone network, its callers are left out: others come in their place.
    """

    def __init__(self, worker_nodes: list[Any], user_classes: list[Any]) -> None:
        if not seats.wait((node.id for node in worker_nodes), TOLD_S):
            _log.warning("not all workers reported where they are: they count as sites")
        self._outside_names = {user_class.__name__ for user_class in user_classes if is_outside(user_class)}
        super().__init__(worker_nodes, with_a_seat(user_classes))
        self._turns = Turns(self._worker_nodes, seats.outside)

    def new_dispatch(
        self, target_user_count: int, spawn_rate: float, user_classes: list[Any] | None = None
    ) -> None:
        """Begin to add or remove users."""
        chosen = None if user_classes is None else with_a_seat(user_classes)
        super().new_dispatch(target_user_count, spawn_rate, chosen)

    def _add_users_on_workers(self) -> dict[str, dict[str, int]]:
        until = min(
            self._current_user_count + self._user_count_per_dispatch_iteration, self._target_user_count
        )
        while self._current_user_count < until:
            user = next(self._user_generator)
            if not user:
                self._no_user_to_spawn = True
                break
            worker = self._turns.next(user in self._outside_names)
            self._users_on_workers[worker.id][user] += 1
            self._active_users.append((worker, user))
            self._current_user_count += 1
        on_workers: dict[str, dict[str, int]] = self._users_on_workers
        return on_workers

    def _distribute_users(self, target_user_count: int) -> tuple[Any, Any, Any, list[Any]]:
        """All users again, when a worker has come or gone."""
        self._turns = Turns(self._worker_nodes, seats.outside)
        there = {node.id: {c.__name__: 0 for c in self._original_user_classes} for node in self._worker_nodes}
        generator, active = self._user_gen(), []
        for user in itertools.islice(generator, target_user_count):
            if not user:
                break
            worker = self._turns.next(user in self._outside_names)
            there[worker.id][user] += 1
            active.append((worker, user))
        return there, generator, itertools.cycle(self._worker_nodes), active


def is_outside(user_class: Any) -> bool:
    """Whether users of that class sit in the telephone network."""
    return bool(getattr(user_class, "outside", False))


def with_a_seat(user_classes: list[Any]) -> list[Any]:
    """The classes whose users have a place; all where none has, so that each says so itself."""
    somewhere = [
        user_class for user_class in user_classes if not is_outside(user_class) or any(seats.outside.values())
    ]
    return somewhere or user_classes


@events.init.add_listener
def _begin(environment: Any, runner: Any, **_: Any) -> None:
    if isinstance(runner, MasterRunner):
        environment.dispatcher_class = BySeat
        runner.register_message(SITS, lambda msg, **_: seats.sits(msg.node_id, msg.data["outside"]))
        runner.register_message(CAME, lambda msg, **_: _came(runner, msg))
    elif isinstance(runner, WorkerRunner):
        runner.register_message(THERE, lambda msg, **_: _there(msg.data["users"]))
        environment.events.spawning_complete.add_listener(lambda **_: gevent.spawn(_come, runner))
        # the place is opened now: a telephone network answers before the first user calls it
        runner.send_message(SITS, {"outside": POOL_VARIABLE in os.environ and place().outside is not None})
    else:
        environment.events.spawning_complete.add_listener(lambda **_: gevent.spawn(_come))


def _come(runner: Any = None) -> None:
    """Tell who is here, when they have registered: who is called before that is not there."""
    place().wait_until_tried(REGISTERED_S)
    if runner is None:
        _there(place().present)
    else:
        runner.send_message(CAME, {"users": place().present})


def _came(runner: Any, message: Any) -> None:
    """A worker's users have begun: all workers hear who is there by now."""
    seats.came[message.node_id] = message.data["users"]
    runner.send_message(THERE, {"users": seats.there})


def _there(users: list[str]) -> None:
    place().there = tuple(users)
    if users:
        everybody_is_there.set()
