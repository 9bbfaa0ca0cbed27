"""A client of ovsdb-server: JSON-RPC over its UNIX socket (RFC 7047), as much as a lab needs.

One transaction configures all bridges and ports of an engine; a `wait` operation inside the server, not a
poll, tells when ovs-vswitchd has carried it out.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from uclab.runtime.readiness import patient

DATABASE = "Open_vSwitch"
Operation = dict[str, Any]


class OvsdbError(Exception):
    """ovsdb-server refused a transaction or did not answer in time."""


def named(uuid_name: str) -> list[str]:
    """A reference to a row inserted in the same transaction."""
    return ["named-uuid", uuid_name]


def ovs_set(values: Sequence[Any]) -> list[Any]:
    """A set column's value."""
    return ["set", list(values)]


def ovs_map(values: Mapping[str, str]) -> list[Any]:
    """A map column's value."""
    return ["map", [[key, value] for key, value in values.items()]]


def insert(table: str, uuid_name: str, row: Mapping[str, Any]) -> Operation:
    """An operation that adds a row and gives it a name for this transaction."""
    return {"op": "insert", "table": table, "row": dict(row), "uuid-name": uuid_name}


class OvsdbClient:
    """A connection to one ovsdb-server; transactions of several threads follow each other."""

    def __init__(self, path: Path) -> None:
        """Raises OSError while nothing listens at `path`."""
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._buffer = ""
        self._decoder = json.JSONDecoder()
        self._id = 0
        self._lock = threading.Lock()
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def transact(self, operations: Sequence[Operation], timeout_s: float = 10.0) -> list[dict[str, Any]]:
        """Carry out all operations or none; their results in order. Raises `OvsdbError`."""
        with self._lock:
            self._id += 1
            request = {"method": "transact", "params": [DATABASE, *operations], "id": self._id}
            self._socket.settimeout(patient(timeout_s))
            try:
                self._socket.sendall(json.dumps(request).encode())
                reply = self._reply()
            except OSError as error:
                raise OvsdbError(
                    f"{self._path}: no answer to a transaction of {len(operations)} operations: {error}"
                ) from error
        if reply.get("error"):
            raise OvsdbError(f"{self._path}: {reply['error']}")
        results: list[dict[str, Any]] = reply["result"]
        for number, result in enumerate(results):
            if result and result.get("error"):
                what = operations[number] if number < len(operations) else "commit"
                raise OvsdbError(f"{self._path}: {result['error']}: {result.get('details', '')} in {what}")
        return results

    def rows(self, table: str, columns: Sequence[str], where: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows of a table that meet all conditions."""
        operation = {"op": "select", "table": table, "where": list(where), "columns": list(columns)}
        found: list[dict[str, Any]] = self.transact([operation])[0]["rows"]
        return found

    def wait_for(self, table: str, row: Mapping[str, Any], timeout_s: float) -> None:
        """Return as soon as the table's one row has these values; `OvsdbError` when it has not after
        `timeout_s`."""
        operation = {
            "op": "wait",
            "table": table,
            "timeout": int(patient(timeout_s) * 1000),
            "where": [],
            "columns": list(row),
            "until": "==",
            "rows": [dict(row)],
        }
        self.transact([operation], timeout_s + 1.0)

    def _reply(self) -> dict[str, Any]:
        """The next message with our id; the server's keep-alive `echo` is answered on the way (RFC 7047
        section 4.1.11)."""
        while True:
            message = self._message()
            if message.get("method") == "echo":
                answer = {"id": message["id"], "result": message["params"], "error": None}
                self._socket.sendall(json.dumps(answer).encode())
            elif message.get("id") == self._id:
                return message

    def _message(self) -> dict[str, Any]:
        while True:
            text = self._buffer.lstrip()
            if text:
                try:
                    message, end = self._decoder.raw_decode(text)
                except json.JSONDecodeError:
                    pass
                else:
                    self._buffer = text[end:]
                    found: dict[str, Any] = message
                    return found
            data = self._socket.recv(1 << 16)
            if not data:
                raise ConnectionError("ovsdb-server closed the connection")
            self._buffer = text + data.decode()
