"""The lab's own audio player for baresip, written in C because baresip's players cannot record several calls,
nor survive a hold (see `recorder.c`). It is compiled once and kept in the user's cache.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

_SOURCE = Path(__file__).with_name("recorder.c")
_COMPILER = ("cc", "-std=c11", "-D_POSIX_C_SOURCE=200809L", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC")


class NotCompiled(Exception):
    """The recorder could not be compiled; the message carries the compiler's, or says what to install."""


def module(source: Path = _SOURCE) -> Path:
    """The compiled module, made where it is not in the cache. It uses nothing newer than glibc 2.34."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "uclab"
    made = cache / f"recorder-{hashlib.sha256(source.read_bytes()).hexdigest()[:16]}.so"
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
                    "no C compiler `cc`: install the Debian package gcc, or run `make setup`"
                ) from None
            except subprocess.CalledProcessError as error:
                raise NotCompiled(f"{source}: {error.stderr.strip()}") from None
            fresh.chmod(0o755)
            fresh.replace(made)  # whole or not at all, also where two labs start at once
    return made
