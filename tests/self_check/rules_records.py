"""Rules about records beside the captures: calls, events, keys, the scenario."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

from tests.self_check.evidence import CleanRun, Copy
from tests.self_check.rule import Change, rule
from uclab.capture.sip import SipMessage

WHOLE = frozenset({"scenario.complete"})
REGISTERED = frozenset({"signalling.registered"})
DELIVERED = frozenset({"message.delivered"})
KEYS = frozenset({"media.srtp", "media.keys"})


@rule("a call's record missing", "lost")
def call_missing(clean: CleanRun) -> Iterator[Change]:
    """calls.json lacks one call."""
    for call in clean.run.calls:

        def apply(copy: Copy, name: str = call.id) -> None:
            copy.write_data("calls.json", [c for c in copy.data("calls.json") if c["id"] != name])

        yield Change("a call's record missing", "lost", call.id, apply, WHOLE)


@rule("an unknown caller", "lost")
def unknown_caller(clean: CleanRun) -> Iterator[Change]:
    """A call's record names somebody whom the plan does not know."""
    for call in clean.run.calls:
        for side in ("caller", "callee"):

            def apply(copy: Copy, name: str = call.id, side: str = side) -> None:
                calls = copy.data("calls.json")
                for its in calls:
                    its[side] = "nobody" if its["id"] == name else its[side]
                copy.write_data("calls.json", calls)

            yield Change("an unknown caller", "lost", f"{call.id}, {side}", apply, WHOLE)


@rule("a message's record missing", "lost")
def message_missing(clean: CleanRun) -> Iterator[Change]:
    """messages.json lacks one message."""
    for message in clean.run.messages[::4]:

        def apply(copy: Copy, name: str = message.id) -> None:
            copy.write_data("messages.json", [m for m in copy.data("messages.json") if m["id"] != name])

        yield Change("a message's record missing", "lost", message.id, apply, WHOLE)


@rule("a message that did not arrive, or twice", "fault")
def message_not_reported(clean: CleanRun) -> Iterator[Change]:
    """A recipient does not report a message that it confirmed, or reports it twice: it is to blame."""
    for message in clean.run.messages[::3]:
        for copies in (0, 2):

            def apply(copy: Copy, text: str = message.text, copies: int = copies) -> None:
                lines = copy.read("events.jsonl").splitlines(keepends=True)
                kept = [line for line in lines for _ in range(copies if _says(line, text) else 1)]
                copy.write("events.jsonl", b"".join(kept).ljust(sum(map(len, lines)), b"\n"))

            culprit = frozenset({message.recipient})
            place = f"{message.id}, {copies} times"
            yield Change("a message that did not arrive, or twice", "fault", place, apply, DELIVERED, culprit)


def _says(line: bytes, text: str) -> bool:
    return bool(json.loads(line).get("detail") == text)


@rule("an incident's record missing", "lost")
def incident_missing(clean: CleanRun) -> Iterator[Change]:
    """incidents.json lacks one incident."""
    for number, incident in enumerate(clean.run.incidents):

        def apply(copy: Copy, number: int = number) -> None:
            data = copy.data("incidents.json")
            copy.write_data("incidents.json", data[:number] + data[number + 1 :])

        yield Change(
            "an incident's record missing", "lost", f"{incident.name} {incident.subject}", apply, WHOLE
        )


@rule("an incident's heal missing", "lost")
def heal_missing(clean: CleanRun) -> Iterator[Change]:
    """Nobody noted that what an incident broke was restored: neither the lab's events, nor its orders."""
    for incident in clean.run.incidents:
        for name in ("events.jsonl", "orders.jsonl"):
            lines = (clean.folder / name).read_bytes().splitlines(keepends=True)
            kept = [line for line in lines if not _is_heal(line)]
            if len(kept) == len(lines):
                continue

            def apply(copy: Copy, name: str = name, kept: list[bytes] = kept) -> None:
                copy.write(name, b"".join(kept))

            place = f"{incident.name} {incident.subject}, {name}"
            yield Change("an incident's heal missing", "lost", place, apply, WHOLE)


def _is_heal(line: bytes) -> bool:
    data = json.loads(line)
    return bool(data.get("kind") == "healed" or data.get("what") == "heal")


@rule("the scenario's end or plan missing", "lost")
def no_end(clean: CleanRun) -> Iterator[Change]:
    """Nobody said that the scenario ended, or what was to happen, or the lab's own last word is missing."""
    for name in ("scenario.end.json", "scenario.json", "lab.end.json"):

        def apply(copy: Copy, name: str = name) -> None:
            copy.remove(name)

        yield Change("the scenario's end or plan missing", "lost", name, apply, WHOLE)


@rule("events cut", "lost")
def events_cut(clean: CleanRun) -> Iterator[Change]:
    """events.jsonl ends in the middle of a line, or lacks its last lines."""
    for share in (0.3, 0.6, 0.9):
        for words, whole_lines in (("in the middle of a line", False), ("behind a line", True)):

            def apply(copy: Copy, share: float = share, whole_lines: bool = whole_lines) -> None:
                content = copy.read("events.jsonl")
                kept = content[: int(len(content) * share)]
                kept = kept[: kept.rindex(b"\n") + 1] + (b"" if whole_lines else b'{"time": 17')
                copy.write("events.jsonl", kept)

            yield Change("events cut", "lost", f"after {share:.0%}, {words}", apply, WHOLE)


@rule("the key log missing, or another", "lost")
def no_keys(clean: CleanRun) -> Iterator[Change]:
    """There is no TLS key log, it is empty, or holds other secrets."""

    def gone(copy: Copy) -> None:
        copy.remove("keys/tls.keylog")

    def empty(copy: Copy) -> None:
        copy.write("keys/tls.keylog", b"")

    def another(copy: Copy) -> None:
        lines = [line.split() for line in copy.read("keys/tls.keylog").splitlines() if line]
        turned = [b" ".join((*line[:-1], bytes(reversed(line[-1])))) for line in lines]
        copy.write("keys/tls.keylog", b"\n".join(turned) + b"\n")

    for words, apply in (("missing", gone), ("empty", empty), ("another's", another)):
        yield Change("the key log missing, or another", "lost", words, apply, KEYS)


@rule("a registration lost", "fault")
def registration_lost(clean: CleanRun) -> Iterator[Change]:
    """In the middle of the run a phone is not registered any more: it says so, or decrypted signalling shows
    that its registration ran out, or both. (Not in a run with an incident, which would explain it.)"""
    if clean.run.incidents:
        return
    calls = clean.run.calls
    middle = (min(c.started_at for c in calls) + max(c.ended_at or 0.0 for c in calls)) / 2
    for endpoint in clean.network.site_endpoints:
        if not endpoint.registers:
            continue

        def told(copy: Copy, name: str = endpoint.name) -> None:
            lines = copy.read("events.jsonl").splitlines()
            word = {"time": middle, "source": name, "kind": "registration-failed", "detail": "503"}
            at = next(i for i, line in enumerate(lines) if json.loads(line)["time"] > middle)
            copy.write(
                "events.jsonl", b"\n".join([*lines[:at], json.dumps(word).encode(), *lines[at:]]) + b"\n"
            )

        def seen(copy: Copy, user: str = endpoint.account.user) -> None:
            def edit(messages: tuple[SipMessage, ...]) -> tuple[SipMessage, ...]:
                return tuple(
                    replace(m, expires_s=max(1, int(middle - m.at.time)))
                    if m.method == "REGISTER" and m.to_user == user and m.expires_s
                    else m
                    for m in messages
                )

            copy.signalling = edit

        def both(copy: Copy, told=told, seen=seen) -> None:  # type: ignore[no-untyped-def]
            told(copy)
            seen(copy)

        for words, apply in (("events", told), ("signalling", seen), ("both", both)):
            yield Change(
                "a registration lost",
                "fault",
                f"{endpoint.name}, {words}",
                apply,
                REGISTERED,
                frozenset({endpoint.name}),
                or_not_shown=words != "both",
            )
