"""Which worker gets which user, and who is known to be there: locust's dispatcher without its network."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

os.environ.setdefault("LOCUST_SKIP_MONKEY_PATCH", "1")  # other tests of this process want sockets as they are

from locust.runners import WorkerNode

from campaigns import user_dispatcher as seats_of_campaign
from campaigns.user_dispatcher import BySeat, Seats, Turns, with_a_seat

pytestmark = pytest.mark.req("D11")


def user_class(name: str, weight: int, outside: bool = False, fixed: int = 0) -> Any:
    return type(name, (), {"weight": weight, "fixed_count": fixed, "outside": outside})


BUSY = [
    user_class("DeskPhone", 5),
    user_class("ContactCentreAgent", 1),
    user_class("PstnCaller", 1, outside=True),
    user_class("RegisteredOnly", 3),
]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    """Makes workers that have told where they are."""
    fresh = Seats()
    monkeypatch.setattr(seats_of_campaign, "seats", fresh)

    def workers(*outside: bool) -> list[Any]:
        made = [WorkerNode(f"host_{number}") for number in range(len(outside))]
        for node, is_outside in zip(made, outside, strict=True):
            fresh.sits(node.id, is_outside)
        return made

    return workers


def dispatched(dispatcher: Any, users: int) -> dict[str, dict[str, int]]:
    """Where all users are in the end."""
    dispatcher.new_dispatch(users, 10_000.0)
    *_, there = dispatcher
    return dict(there)


def by_class(there: dict[str, dict[str, int]], name: str) -> dict[str, int]:
    return {worker: its.get(name, 0) for worker, its in there.items()}


def test_callers_of_the_telephone_network_sit_there_and_nobody_else(told: Callable[..., list[Any]]) -> None:
    there = dispatched(BySeat(told(False, True, False), BUSY), 20)
    assert by_class(there, "PstnCaller") == {"host_0": 0, "host_1": 2, "host_2": 0}
    assert sum(there["host_1"].values()) == 2
    # and sites are as even as ever
    assert {sum(there[worker].values()) for worker in ("host_0", "host_2")} == {9}


def test_without_a_telephone_network_others_come_in_their_place(told: Callable[..., list[Any]]) -> None:
    there = dispatched(BySeat(told(False, False), BUSY), 20)
    assert sum(by_class(there, "PstnCaller").values()) == 0
    assert [sum(its.values()) for its in there.values()] == [10, 10]
    # and where nobody else is wanted, they begin nevertheless, to say themselves that they have no place
    alone = dispatched(BySeat(told(False), [BUSY[2]]), 3)
    assert by_class(alone, "PstnCaller") == {"host_0": 3}


def test_users_of_a_worker_that_is_lost_go_where_they_belong(told: Callable[..., list[Any]]) -> None:
    workers = told(False, True, False)
    dispatcher = BySeat(workers, BUSY)
    dispatched(dispatcher, 20)
    dispatcher.remove_worker(workers[0])
    there = dispatched(dispatcher, 20)
    assert sorted(there) == ["host_1", "host_2"]
    assert (sum(there["host_1"].values()), sum(there["host_2"].values())) == (2, 18)
    # and all leave in the end
    assert sum(sum(its.values()) for its in dispatched(dispatcher, 0).values()) == 0


@settings(deadline=None, max_examples=50)
@given(
    outside=st.lists(st.booleans(), min_size=1, max_size=6),
    steps=st.lists(st.integers(1, 60), min_size=1, max_size=4),
    fixed=st.integers(0, 3),
)
def test_nobody_moves_while_users_are_added(outside: list[bool], steps: list[int], fixed: int) -> None:
    # given workers, and classes of which one may be wanted in a fixed number
    held = seats_of_campaign.seats
    seats_of_campaign.seats = Seats()
    try:
        workers = [WorkerNode(f"host_{number}") for number in range(len(outside))]
        for node, is_outside in zip(workers, outside, strict=True):
            seats_of_campaign.seats.sits(node.id, is_outside)
        dispatcher = BySeat(workers, [*BUSY, user_class("Watcher", 1, fixed=fixed)])
        before: dict[str, dict[str, int]] = {}
        for users in sorted(steps):
            there = dispatched(dispatcher, users)
            assert sum(sum(its.values()) for its in there.values()) == users
            # then nobody is taken away from where it was
            for worker, its in before.items():
                assert all(there[worker][name] >= count for name, count in its.items())
            before = there
            # and nobody sits at the wrong kind of place where there is a right one
            for node, is_outside in zip(workers, outside, strict=True):
                wrong = [n for n, c in there[node.id].items() if c and (n == "PstnCaller") is not is_outside]
                assert not wrong or len(set(outside)) == 1
    finally:
        seats_of_campaign.seats = held


def test_the_leader_waits_for_its_workers_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = Seats()
    waiting = gevent.spawn(fresh.wait, ["a", "b"], 5.0)
    gevent.spawn(fresh.sits, "a", False)
    gevent.spawn_later(0.05, fresh.sits, "b", True)
    assert waiting.get(timeout=2) is True
    assert fresh.wait(["a", "c"], 0.05) is False
    # and who has not told counts as a site
    monkeypatch.setattr(seats_of_campaign, "seats", fresh)
    monkeypatch.setattr(seats_of_campaign, "TOLD_S", 0.01)
    there = dispatched(BySeat([WorkerNode("b"), WorkerNode("late")], BUSY), 10)
    assert by_class(there, "PstnCaller") == {"b": 1, "late": 0}


def test_turns_go_round_among_those_who_are_meant() -> None:
    nodes = [SimpleNamespace(id=name) for name in "abc"]
    turns = Turns(nodes, {"b": True})
    assert [turns.next(False).id for _ in range(4)] == ["a", "c", "a", "c"]
    assert [turns.next(True).id for _ in range(2)] == ["b", "b"]
    assert [Turns(nodes, {}).next(True).id for _ in range(2)] == ["a", "a"]


def test_all_who_came_are_known_once() -> None:
    fresh = Seats()
    fresh.came["a"] = ["700002", "700001"]
    fresh.came["b"] = ["700003"]
    fresh.came["a"] = ["700001"]
    assert fresh.there == ["700001", "700003"]


def test_classes_with_a_seat(told: Callable[..., list[Any]]) -> None:
    told(False)
    assert BUSY[2] not in with_a_seat(BUSY)
    told(True)
    assert with_a_seat(BUSY) == BUSY
