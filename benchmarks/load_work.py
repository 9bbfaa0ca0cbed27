"""One process of `bench_load_agent`: registers, calls, answers or talks, and prints one JSON object.

python -m benchmarks.load_work WORK [--port P] [--transport udp|tcp|tls] [--count N] [--at-once N] ...
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gevent
from gevent import signal_handler

from endpoints_emu.load import process
from endpoints_emu.load.agent import UserAgent
from endpoints_emu.load.call import Call
from endpoints_emu.load.failure import CallFailed
from endpoints_emu.load.stack import Stack
from endpoints_emu.load.tls import server_tls
from endpoints_emu.load.transport import Server
from uclab.plan.schema.plan import Account

ADDRESS = "127.0.0.1"
NAME = "bench.test"
RAMP_S = 0.01
"""Between the beginnings of calls that are to stand side by side."""


def processor_s() -> float:
    """What this process has used so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def waited_s() -> float:
    """For how long it was ready to run and something else had the processor (schedstat of the kernel)."""
    return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9


def server_of(options: argparse.Namespace) -> Server:
    """The server that the options name."""
    return Server(NAME, ADDRESS, options.port, options.transport, options.ca)


def agent(stack: Stack, user: str, server: Server, **values: Any) -> UserAgent:
    """An agent for a server; its call is plain where nothing encrypts."""
    encrypted = server.transport == "tls"
    return UserAgent(
        stack,
        Account(user, NAME, "secret", user),
        server,
        local_address=ADDRESS,
        encrypted=encrypted,
        media=encrypted,
        **values,
    )


def many(options: argparse.Namespace, once: Callable[[int], str]) -> dict[str, Any]:
    """Do something `count` times, `at_once` of them side by side; how long it took, and what failed."""
    numbers, failed = iter(range(options.count)), []

    def work() -> None:
        for number in numbers:
            why = once(number)
            if why:
                failed.append(why)

    used, began = processor_s(), time.monotonic()
    gevent.joinall([gevent.spawn(work) for _ in range(options.at_once)], raise_error=True)
    took, used = time.monotonic() - began, processor_s() - used
    return {"done": options.count - len(failed), "failed": failed[:3], "took_s": took, "processor_s": used}


def register(options: argparse.Namespace) -> dict[str, Any]:
    """Register `count` accounts, each challenged once, from one socket."""
    stack = Stack()
    udp, server = stack.udp(ADDRESS), server_of(options)

    def once(number: int) -> str:
        attempt = agent(stack, f"user{number}", server, udp=udp).register(300)
        return "" if attempt.succeeded else f"{attempt.status} {attempt.why}"

    figures = many(options, once)
    stack.close()
    return figures


def call(options: argparse.Namespace) -> dict[str, Any]:
    """Place `count` calls and hang up each when it is answered (over TLS: when a packet was heard)."""
    stack = Stack()
    caller = agent(stack, "caller", server_of(options))
    with_media = options.transport == "tls"

    def once(number: int) -> str:
        try:
            placed = caller.call(f"sip:service@{ADDRESS}:{options.port}")
        except CallFailed as error:
            return str(error)
        while with_media and not placed.figures().received and not placed.ended.is_set():
            gevent.sleep(0.02)
        placed.hang_up()
        return ""

    figures = many(options, once)
    stack.close()
    return figures


def answer(options: argparse.Namespace) -> dict[str, Any]:
    """Answer every call until SIGTERM; prints its port first."""
    stack = Stack()
    callee = agent(stack, "service", server_of(options))
    totals = {"calls": 0, "lost": 0, "failures": 0, "received": 0}

    def take(incoming: Call) -> None:
        incoming.ring()
        incoming.answer()
        gevent.spawn(follow, incoming)

    def follow(incoming: Call) -> None:
        incoming.ended.wait()
        media = incoming.figures()
        totals["calls"] += 1
        totals["lost"] += media.lost
        totals["failures"] += media.authentication_failures
        totals["received"] += media.received

    callee.on_call = take
    if options.transport == "udp":
        held = stack.udp(ADDRESS, options.port)
        callee.use(held)
        port = held.local[1]
    else:
        tls = server_tls(options.certificate, options.key) if options.transport == "tls" else None
        port = stack.listen(ADDRESS, options.port, callee, tls).local[1]
    print(json.dumps({"port": port}), flush=True)
    ended = gevent.event.Event()
    signal_handler(15, ended.set)
    ended.wait()
    gevent.sleep(0.3)
    media = stack.media
    return totals | {"late": media.late, "latest_ms": media.latest_s * 1000, "processor_s": processor_s()}


def talk(options: argparse.Namespace) -> dict[str, Any]:
    """`count` calls side by side for `--seconds`, both ways; what was lost or late while all stood."""
    stack = Stack()
    caller = agent(stack, "caller", server_of(options))
    calls: list[Call] = []
    for _ in range(options.count):
        calls.append(caller.call(f"sip:service@{ADDRESS}:{options.port}"))
        gevent.sleep(RAMP_S)
    gevent.sleep(0.5)
    media = stack.media
    media.late, media.packets, media.latest_s = 0, 0, 0.0
    used, waited, began = processor_s(), waited_s(), time.monotonic()
    gevent.sleep(options.seconds)
    used, waited, took = processor_s() - used, waited_s() - waited, time.monotonic() - began
    late, packets, latest = media.late, media.packets, media.latest_s
    gevent.joinall([gevent.spawn(one.hang_up) for one in calls], timeout=20)
    figures = [one.figures() for one in calls]
    stack.close()
    return {
        "calls": len(calls),
        "packets": packets,
        "late": late,
        "latest_ms": latest * 1000,
        "lost": sum(one.lost for one in figures),
        "failures": sum(one.authentication_failures for one in figures),
        "received": sum(one.received for one in figures),
        "out_of_order": sum(one.out_of_order for one in figures),
        "processor_pct": 100 * used / took,
        "waited_pct": 100 * waited / took,
        "least_jitter_ms": min(one.jitter_ms for one in figures),
        "most_jitter_ms": max(one.jitter_ms for one in figures),
    }


WORKS = {"register": register, "call": call, "answer": answer, "talk": talk}


def main(argv: Sequence[str] | None = None) -> None:
    """Do the work that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", choices=tuple(WORKS))
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--transport", choices=("udp", "tcp", "tls"), default="udp")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--at-once", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--ca", type=Path)
    parser.add_argument("--certificate", type=Path)
    parser.add_argument("--key", type=Path)
    options = parser.parse_args(argv)
    process.prepare()
    preferred = options.work in ("talk", "answer") and process.prefer()
    json.dump(WORKS[options.work](options) | {"preferred": preferred}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
