"""How a device's program is confined: bubblewrap, its own root, no capabilities, no new privileges.

A program sees the device image (read-only) or the host's system (read-only), fresh /tmp and /run, its
device's resolv.conf and hosts, and what it was given by name. bubblewrap 0.8 (Debian 12) does it in a few
milliseconds, without a container.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from uclab.doctor import DEVICE_ROOT
from uclab.runtime.installation import PACKAGES
from uclab.runtime.node import ProgramRoot

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_HIDDEN = frozenset(
    {"dev", "proc", "sys", "tmp", "run", "boot", "mnt", "media", "lost+found", "lab", "home", "root"}
)
"""Folders of the host that its programs do not see. A user's home may have mode 0700 (Debian's default since
12): a program without capabilities could not get through it to uclab's own files, root or not."""


@dataclass(frozen=True)
class Sandbox:
    """What a program may see and do."""

    root: ProgramRoot
    files: Mapping[str, Path] = field(default_factory=dict)
    """Files of the device's own, e.g. `/etc/resolv.conf`."""
    readable: Mapping[str, Path] = field(default_factory=dict)
    writable: Mapping[str, Path] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    capabilities: Sequence[str] = ()
    """E.g. `CAP_NET_ADMIN` for a routing daemon; phones need none."""
    devices: Sequence[str] = ()
    """Device files, e.g. `/dev/net/tun` for a tunnel."""


def command(sandbox: Sandbox, argv: Sequence[str], info_fd: int) -> list[str]:
    """The bubblewrap command line for `argv`; it writes the program's process id to `info_fd` as JSON (pure
    but for `/`)."""
    options = [
        "bwrap",
        "--info-fd",
        str(info_fd),
        "--die-with-parent",
        "--unshare-ipc",
        "--unshare-uts",
        "--clearenv",
    ]
    options += _root(sandbox.root)
    options += ["--proc", "/proc", "--dev", "/dev"]
    for folder in ("/tmp", "/run", "/lab"):
        options += ["--tmpfs", folder]
    if sandbox.root == "host":
        options += _own_python()
    for inside, outside in sandbox.files.items():
        options += ["--ro-bind", str(outside), _bindable(inside, sandbox.root)]
    for inside, outside in sandbox.readable.items():
        options += ["--ro-bind", str(outside), inside]
    for inside, outside in sandbox.writable.items():
        options += ["--bind", str(outside), inside]
    for device in sandbox.devices:
        options += ["--dev-bind", device, device]
    options += ["--cap-drop", "ALL"]
    for capability in sandbox.capabilities:
        options += ["--cap-add", capability]
    for name, value in {"PATH": PATH, "HOME": "/tmp", "LANG": "C.UTF-8", **sandbox.env}.items():
        options += ["--setenv", name, value]
    return [*options, "--", *argv]


def _root(root: ProgramRoot) -> list[str]:
    if root == "device":
        return ["--ro-bind", str(DEVICE_ROOT), "/"]
    options: list[str] = []
    for entry in sorted(os.scandir("/"), key=lambda entry: entry.name):
        if entry.name in _HIDDEN:
            continue
        if entry.is_symlink():
            options += ["--symlink", os.readlink(entry.path), entry.path]
        elif entry.is_dir():
            options += ["--ro-bind", entry.path, entry.path]
    return options


def _own_python() -> list[str]:
    """uclab and its Python, where they are in a folder that is hidden else, e.g. a clone below /tmp, or what
    `uv tool install` made in a user's home."""
    folders = {str(PACKAGES), sys.prefix, sys.base_prefix, *_interpreters(sys.executable)}
    hidden = sorted(folder for folder in folders if folder.split("/")[1] in _HIDDEN)
    return [option for folder in hidden for option in ("--ro-bind", folder, folder)]


def _interpreters(executable: str) -> list[str]:
    """The installations that a Python's link leads through, e.g. `cpython-3.12` to `cpython-3.12.11`."""
    found = []
    while os.path.islink(executable):
        executable = os.path.normpath(os.path.join(os.path.dirname(executable), os.readlink(executable)))
        found.append(os.path.dirname(os.path.dirname(executable)))
    return found


def _bindable(inside: str, root: ProgramRoot) -> str:
    """Where to bind a file: the host's /etc/resolv.conf may be a link to somewhere below /run."""
    return os.path.realpath(inside) if root == "host" else inside


def locate(program: str, root: ProgramRoot) -> None:
    """Raise FileNotFoundError where `program` is not in that root."""
    base = DEVICE_ROOT if root == "device" else Path("/")
    if not base.is_dir():
        raise FileNotFoundError(f"{base} is not there: no device image yet; run `uclab setup`")
    folders = [""] if "/" in program else PATH.split(":")
    if not any(_exists(base, f"{folder}/{program}") for folder in folders):
        raise FileNotFoundError(f"no program {program} in the {root} root {base}")


def _exists(base: Path, inside: str) -> bool:
    """True for a file below `base`, links in it taken as links inside it (`/bin` -> `usr/bin`)."""
    try:
        return os.path.lexists(base / inside.lstrip("/"))
    except OSError:
        return False
