"""The lab's own modules for baresip, written in C for what its own cannot do: `recorder` records several
calls and survives a hold, `flow` keeps the connection to the registrar under watch, `messages` sends text
messages. Each is compiled once and
kept in the user's cache.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

_COMPILER = ("cc", "-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC")


class NotCompiled(Exception):
    """A module could not be compiled; the message carries the compiler's, or says what to install."""


def source_of(name: str) -> Path:
    """The source of the module of that name."""
    return Path(__file__).with_name(f"{name}.c")


def compiled(source: Path) -> Path:
    """The compiled module, made where it is not in the cache, of a source and the headers beside it. It uses
    nothing newer than glibc 2.34."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "uclab"
    read = b"".join(file.read_bytes() for file in (source, *sorted(source.parent.glob("*.h"))))
    digest = hashlib.sha256(" ".join(_COMPILER).encode() + read).hexdigest()[:16]
    made = cache / f"{source.stem}-{digest}.so"
    if not made.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            fresh = Path(folder) / made.name
            try:
                subprocess.run(
                    [*_COMPILER, "-o", str(fresh), str(source)], check=True, capture_output=True, text=True
                )
            except FileNotFoundError:
                raise NotCompiled(
                    "no C compiler `cc`: install the Debian package gcc, or run `uclab setup`"
                ) from None
            except subprocess.CalledProcessError as error:
                raise NotCompiled(f"{source}: {error.stderr.strip()}") from None
            fresh.chmod(0o755)
            fresh.replace(made)  # whole or not at all, also where two labs start at once
    return made
