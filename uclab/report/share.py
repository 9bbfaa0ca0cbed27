"""A copy of a run for others: what its report needs, without passwords, keys, recordings, messages and
packets.

What is not known to be harmless is left out, and what is copied is searched for secrets all the same: those
of the plan by their values, others by their form.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from uclab.access.private_files import (
    FolderRefused,
    claim_folder,
    copy_below,
    names_below,
    read_below,
    write_private,
)
from uclab.records.run import MESSAGE_RECEIVED

PLANS = ("plan.json", "plan.applied.json")
MESSAGES, EVENTS = "messages.json", "events.jsonl"
DOCUMENTS = (
    *("host.json", "network.json", "scenario.json", "calls.json", "incidents.json", "events.jsonl"),
    *("scenario.end.json", "lab.end.json", "orders.jsonl", "pressure.jsonl"),
    *("results.json", "junit.xml", "report.html"),
)
FURTHER = {
    "lines": ("*.json",),
    "sdwan": ("paths.jsonl", "events.jsonl"),
    "controllers": ("*.events.jsonl",),
    "campaign": ("campaign.json", "measuring.json", "*.jsonl"),
}
"""Folder to the files of it that hold records alone."""
CAPTURES = {"captures": ("*.pcapng", "interfaces.json", "times.jsonl")}
WITHHELD = "withheld"
SECRET_FIELDS = frozenset({"password", "secret", "passphrase", "key"})
SHORTEST = 8
"""Characters of a secret that is looked for by its value; shorter ones are words."""
FORMS = re.compile(
    rb"(inline:)[A-Za-z0-9+/=]{30,}"
    rb"|(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    rb"|\b((?:CLIENT_RANDOM|[A-Z_]+_TRAFFIC_SECRET_[0-9N]+|EXPORTER_SECRET) )[0-9A-Fa-f]{64} [0-9A-Fa-f]+",
    re.DOTALL,
)
"""SDES keys (RFC 4568), private keys (RFC 7468), lines of a TLS key log."""
MOST_BYTES = 256 << 20
READABLE, ENTERABLE = 0o644, 0o755


@dataclass(frozen=True)
class Shared:
    """What a copy has, and what of the run it has not."""

    files: tuple[str, ...]
    left_out: tuple[str, ...]
    """Files and folders right below the run's."""
    withheld: int
    """Secrets that were taken out of what was copied."""


def share(run_dir: Path, out: Path, *, captures: bool = False) -> Shared:
    """Copy a run without its secrets; with `captures` its packets too, whose media is readable where a drill
    made it so. Raises `FolderRefused`."""
    texts = {name: read_below(run_dir, name, MOST_BYTES) for name in PLANS}
    if texts["plan.json"] is None:
        raise FolderRefused(f"`{run_dir}` is no run directory: it has no plan.json")
    plans = {name: _parsed(run_dir / name, text) for name, text in texts.items() if text is not None}
    written = texts_of(_list(read_below(run_dir, MESSAGES, MOST_BYTES)))
    passwords = {secret for plan in plans.values() for secret in secrets_of(plan)}
    secrets = sorted(passwords | written, key=len, reverse=True)
    claim_folder(out)
    count = 0
    for name, plan in plans.items():
        count += len(list(secrets_of(plan, shortest=1)))
        write_private(out, name, json.dumps(without_secrets(plan), indent=1) + "\n", mode=READABLE)
    copied = list(plans)
    for name in _wanted(run_dir, captures):
        if name.endswith(".pcapng"):
            copy_below(run_dir, name, out, mode=READABLE)
        elif (content := read_below(run_dir, name, MOST_BYTES)) is not None:
            content, found = cleaned(content, secrets)
            if name == EVENTS:
                content, further = without_texts(content)
                found += further
            count += found
            write_private(out, name, content, mode=READABLE)
        else:
            continue
        copied.append(name)
    for folder in (out, *(path for path in out.iterdir() if path.is_dir())):
        folder.chmod(ENTERABLE)
    kept = {name.partition("/")[0] for name in copied}
    return Shared(tuple(copied), tuple(n for n in names_below(run_dir, "") if n not in kept), count)


def secrets_of(data: Any, *, shortest: int = SHORTEST) -> Iterator[str]:
    """Every secret value of a plan, and what servers keep in the place of a password (RFC 7616 section 3.4.2;
    pure)."""
    if isinstance(data, dict):
        for key, value in data.items():
            if key in SECRET_FIELDS and isinstance(value, str):
                if len(value) >= shortest:
                    yield value
            else:
                yield from secrets_of(value, shortest=shortest)
        if {"user", "domain", "password"} <= set(data):
            kept = f"{data['user']}:{data['domain']}:{data['password']}"
            yield hashlib.md5(kept.encode(), usedforsecurity=False).hexdigest()
    elif isinstance(data, list):
        for item in data:
            yield from secrets_of(item, shortest=shortest)


def without_secrets(data: Any) -> Any:
    """A plan with other words in the place of its secrets (pure)."""
    if isinstance(data, dict):
        return {
            key: WITHHELD if key in SECRET_FIELDS and isinstance(value, str) else without_secrets(value)
            for key, value in data.items()
        }
    return [without_secrets(item) for item in data] if isinstance(data, list) else data


def texts_of(records: list[Any]) -> set[str]:
    """What people wrote to each other, as it stands in records and in pages (pure); shorter texts are
    words."""
    texts = (str(record.get("text", "")) for record in records if isinstance(record, dict))
    return {
        form
        for text in texts
        if len(text) >= SHORTEST
        for form in (text, json.dumps(text)[1:-1], html.escape(text))
    }


def without_texts(events: bytes) -> tuple[bytes, int]:
    """Events with other words in the place of messages that came in, and how many those were (pure)."""
    lines, count = [], 0
    for line in events.splitlines(keepends=True):
        if MESSAGE_RECEIVED.encode() in line:
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                event = None  # nobody can tell what of it is a text
            if not isinstance(event, dict) or event.get("kind") == MESSAGE_RECEIVED:
                event = {**event, "detail": WITHHELD} if isinstance(event, dict) else {}
                line = json.dumps(event).encode() + b"\n"
                count += 1
        lines.append(line)
    return b"".join(lines), count


def cleaned(content: bytes, secrets: list[str]) -> tuple[bytes, int]:
    """Content with other words in the place of secrets, and how many those were (pure)."""
    count = 0
    for secret in secrets:
        found = content.count(secret.encode())
        if found:
            content = content.replace(secret.encode(), WITHHELD.encode())
            count += found

    def withheld(match: re.Match[bytes]) -> bytes:
        return next(group for group in match.groups() if group is not None) + WITHHELD.encode()

    content, found = FORMS.subn(withheld, content)
    return content, count + found


def _list(text: bytes | None) -> list[Any]:
    """Records, none where they cannot be read."""
    try:
        found = json.loads(text or b"[]")
    except (ValueError, RecursionError):
        return []
    return found if isinstance(found, list) else []


def _parsed(path: Path, text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise FolderRefused(f"`{path}` is no plan") from None


def _wanted(run_dir: Path, captures: bool) -> Iterator[str]:
    """Files to be copied, where they are there."""
    yield from DOCUMENTS
    for folder, patterns in {**FURTHER, **(CAPTURES if captures else {})}.items():
        for name in names_below(run_dir, folder):
            if any(fnmatchcase(name, pattern) for pattern in patterns):
                yield f"{folder}/{name}"
