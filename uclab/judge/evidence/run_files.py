"""The one place where the judge opens files of a run directory.

Whoever hands a run over may have put anything there: what is no ordinary file is refused before anything is
read (a FIFO would wait for a writer for ever), links are not followed, and what is read is bounded.
`RunError` is one sentence that names the file.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TypeVar

from uclab.plan.schema.codec import from_data

Record = TypeVar("Record")

MAX_DOCUMENT = 64 << 20
"""Bytes of a file that is read as a whole; a plan of 2,000 phones has some 10 MiB."""
MAX_LINE = 1 << 20
"""Bytes of one record in a file of lines."""
LAST_SECOND = float(1 << 32)
"""A number that no record has: later than any time of a run (in 2106), more than any figure in it."""
SHOWN = 120
"""Characters of somebody else's words in a message."""
LONE_SURROGATE = re.compile(r"\\ud[89a-f]", re.IGNORECASE)
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
PLAIN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
KINDS = (
    (stat.S_ISLNK, "a link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISCHR, "a device"),
)


class RunError(ValueError):
    """A run directory that cannot be judged; the message names the file and what is wrong with it."""


@dataclass
class RunFiles:
    """The files below a run directory. Names are relative to it, with `/`."""

    folder: Path
    cut: dict[str, str] = field(default_factory=dict)
    """File of lines -> what shows that its end is missing, of those that were read."""

    def text(self, name: str) -> str | None:
        """A whole file's text (UTF-8); None where there is none."""
        stream = self._open(name)
        if stream is None:
            return None
        with stream:
            raw = self._read(stream, name, MAX_DOCUMENT + 1)
        if len(raw) > MAX_DOCUMENT:
            self.refuse(name, f"longer than {MAX_DOCUMENT >> 20} MiB, which no such file is")
        return self._decoded(raw, name)

    def content(self, name: str) -> bytes | None:
        """A whole file; None where there is none."""
        stream = self._open(name)
        if stream is None:
            return None
        with stream:
            return self._read(stream, name, MAX_DOCUMENT)

    def data(self, name: str) -> Any | None:
        """What a JSON file says; None where there is none."""
        text = self.text(name)
        return None if text is None else self._parsed(text, name)

    def record(self, name: str, kind: type[Record]) -> Record | None:
        """The one record of a file; None where there is none."""
        data = self.data(name)
        return None if data is None and not self.has(name) else self._record(data, kind, name)

    def records(self, name: str, kind: type[Record]) -> tuple[Record, ...] | None:
        """A list of records; None where there is no such file."""
        data = self.data(name)
        if data is None and not self.has(name):
            return None
        if not isinstance(data, list):
            self.refuse(name, f"expected a list of {kind.__name__}, found {shortened(data)}")
        return tuple(self._record(item, kind, name, number) for number, item in enumerate(data, start=1))

    def lines(self, name: str, kind: type[Record]) -> Iterator[Record]:
        """The records of a file that programs wrote while they ran, one a line; none where there is no such
        file. A last line that is cut off, as when its writer was killed, is no evidence: `cut` says so."""
        stream = self._open(name)
        if stream is None:
            return
        with stream:
            number = 0
            while raw := self._line(stream, name):
                number += 1
                where = f"{name}, line {number}"
                if len(raw) > MAX_LINE:
                    self.refuse(where, f"longer than {MAX_LINE >> 10} KiB, which no record is")
                if not raw.endswith(b"\n"):
                    self.cut[name] = f"ends in the middle of line {number}"
                    try:
                        whole = self._parsed(self._decoded(raw, where), where)
                    except RunError:
                        return
                    self._record(whole, kind, where)  # what is whole, and no record, was not cut off
                    return
                if raw.strip():
                    yield self._record(self._parsed(self._decoded(raw, where), where), kind, where)

    def has(self, name: str) -> bool:
        """Whether there is a file of that name, with anything in it or not."""
        stream = self._open(name)
        if stream is not None:
            stream.close()
        return stream is not None

    def size(self, name: str) -> int | None:
        """A file's length in bytes; None where there is none."""
        stream = self._open(name)
        if stream is None:
            return None
        with stream:
            return os.fstat(stream.fileno()).st_size

    def path(self, name: str) -> Path | None:
        """The path of an ordinary file, for programs that open it themselves; None where there is none, or it
        is empty."""
        return self.folder / name if self.size(name) else None

    def named(self, folder: str, ending: str) -> tuple[Path, ...]:
        """The paths of all ordinary files of a folder whose names end so, in order; none without it."""
        descriptor = self._directory(folder)
        if descriptor is None:
            return ()
        try:
            names = sorted(name for name in os.listdir(descriptor) if name.endswith(ending))
        finally:
            os.close(descriptor)
        for name in names:
            self.has(f"{folder}/{name}")
        return tuple(self.folder / folder / name for name in names)

    def folders(self) -> tuple[str, ...]:
        """The folders right below, in order."""
        try:
            with os.scandir(self.folder) as entries:
                return tuple(sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False)))
        except OSError as error:
            self.refuse("", reason(error))

    def refuse(self, name: str, why: str) -> NoReturn:
        """Give up: `name` cannot be what it must be."""
        raise RunError(f"{self.folder / name}: {why}") from None

    def _open(self, name: str) -> BinaryIO | None:
        """An ordinary file below the folder, opened without following a link."""
        parent, _, last = name.rpartition("/")
        if not last or {".", ".."} & set(name.split("/")) or "\0" in name:
            self.refuse(".", f"{shortened(name)} is no name of a file in a run")
        directory = self._directory(parent)
        if directory is None:
            return None
        try:
            descriptor = os.open(last, PLAIN, dir_fd=directory)
        except FileNotFoundError:
            return None
        except OSError as error:
            kind = self._kind(last, directory)
            self.refuse(name, f"{kind} in place of a file" if kind else reason(error))
        finally:
            os.close(directory)
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            os.close(descriptor)
            self.refuse(name, f"{_kind_of(mode)} in place of a file")
        return open(descriptor, "rb")

    def _directory(self, name: str) -> int | None:
        """A folder below the run's; None where there is none."""
        try:
            descriptor = os.open(self.folder, DIRECTORY)
        except OSError as error:
            self.refuse("", reason(error))
        for part in filter(None, name.split("/")):
            parent = descriptor
            try:
                descriptor = os.open(part, DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
            except FileNotFoundError:
                return None
            except OSError as error:
                kind = self._kind(part, parent)
                self.refuse(
                    name, reason(error) if kind == "a folder" else f"{kind or 'a file'} in place of a folder"
                )
            finally:
                os.close(parent)
        return descriptor

    @staticmethod
    def _kind(name: str, directory: int) -> str:
        """What is there, if it is no ordinary file."""
        with suppress(OSError):
            return _kind_of(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
        return ""

    def _read(self, stream: BinaryIO, name: str, most: int) -> bytes:
        try:
            return stream.read(most)
        except OSError as error:
            self.refuse(name, reason(error))

    def _line(self, stream: BinaryIO, name: str) -> bytes:
        try:
            return stream.readline(MAX_LINE + 1)
        except OSError as error:
            self.refuse(name, reason(error))

    def _decoded(self, raw: bytes, where: str) -> str:
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            self.refuse(where, f"byte {error.start + 1} is no UTF-8: this is no text")

    def _parsed(self, text: str, where: str) -> Any:
        try:
            data = json.loads(text, parse_constant=_no_number, parse_int=_whole)
            if LONE_SURROGATE.search(text):
                json.dumps(data, ensure_ascii=False).encode()
        except RecursionError:
            self.refuse(where, "nested too deep, which no such file is")
        except UnicodeEncodeError:
            self.refuse(where, "half a character (a lone surrogate), which no text has")
        except ValueError as error:
            self.refuse(where, shortened(str(error)))
        return data

    def _record(self, data: Any, kind: type[Record], where: str, number: int = 0) -> Record:
        try:
            record = from_data(kind, data)
        except (ValueError, TypeError) as error:
            reason = shortened(str(error))
            self.refuse(where, f"{reason} (number {number} of the list)" if number else reason)
        for name, value in vars(record).items():
            if isinstance(value, float) and not -LAST_SECOND < value < LAST_SECOND:
                self.refuse(where, f"{kind.__name__}.{name}: {value:g} is beyond any figure of a run")
        return record


def reason(error: OSError) -> str:
    """Why the system refused, in words."""
    if error.errno == errno.ELOOP:
        return "a link in place of a file"
    return os.strerror(error.errno).lower() if error.errno else str(error)


def shortened(value: object) -> str:
    """Somebody else's words, cut to what a message can hold."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 3 * SHOWN else f"{text[: 2 * SHOWN]} ... {text[-SHOWN:]}"


def _kind_of(mode: int) -> str:
    return next((title for test, title in KINDS if test(mode)), "")


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number (RFC 8259 section 6)")


def _whole(digits: str) -> int:
    if len(digits) > 20:
        raise ValueError(f"{digits[:20]}... is no number that a run has")
    return int(digits)
