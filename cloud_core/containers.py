"""The one object that talks to podman. It knows containers, not what runs in them.

A container is the child process of whoever starts it (`podman run`, attached), so its end is detected at
once. Everything that podman starts for it stays in the lab's PID namespace and dies with that. podman's own
state is the lab's, and so is crun's, whose own place (/run/crun) is the machine's memory and never tidied up
after a lab that was killed; images come read-only from the machine's store. Seen with podman 4.3, crun 1.8
(Debian 12).
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cloud_core.container_process import ContainerProcess, start_process

SERVICE_ID = 10000
"""User and group of every service in its container, and so on the host too, where it is nobody's."""

IMAGE_STORE = Path("/var/lib/containers/storage")
"""Where the machine's images are; only read."""

Runner = Callable[[Sequence[str], int], Awaitable[asyncio.subprocess.Process]]
"""Starts a command with stdout and stderr going to a file descriptor; tests inject a recorder."""


@dataclass(frozen=True)
class Mount:
    """A folder or file of the host inside a container."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True)
class ContainerSpec:
    """What to run and how little it may do."""

    name: str
    image: str
    arguments: tuple[str, ...]
    namespace: Path
    """Network namespace to join."""
    log: Path
    """Receives stdout and stderr."""
    entrypoint: str | None = None
    """Program to run in place of the image's own."""
    mounts: tuple[Mount, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    capabilities: tuple[str, ...] = ()
    """Kept of all capabilities, e.g. `NET_BIND_SERVICE`; none by default."""
    nameservers: tuple[str, ...] = ()
    hosts: tuple[tuple[str, str], ...] = ()
    """Name and address pairs known without DNS."""


@dataclass
class Container:
    """A running container."""

    name: str
    log: Path
    process: asyncio.subprocess.Process
    """Passes signals on, ends with the container and with its status."""

    def prefer(self) -> None:
        """See `ContainerProcess.prefer`; nothing where a test's recorder stands in for podman."""
        if isinstance(self.process, ContainerProcess):
            self.process.prefer()

    async def stop(self, grace_s: float = 2.0) -> int:
        """End it: SIGTERM, after `grace_s` SIGKILL; the exit status."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_s):
                return await self.process.wait()
        except TimeoutError:
            self.process.kill()
            return await self.process.wait()


class Podman:
    """podman of one lab."""

    def __init__(
        self,
        state: Path,
        *,
        store: Path = IMAGE_STORE,
        runner: Runner = start_process,
        hybrid_cgroups: bool | None = None,
    ) -> None:
        """`state`: a folder of the lab alone, best on a tmpfs. `hybrid_cgroups`: found out when None."""
        self._state = state
        self._store = store
        self._runner = runner
        self._hides_cgroups = has_hybrid_cgroups() if hybrid_cgroups is None else hybrid_cgroups

    def command(self, *arguments: str) -> list[str]:
        """podman with this lab's own state."""
        podman = [
            *("env", f"CONTAINERS_CONF={self._settings}"),
            "podman",
            *("--root", str(self._state / "storage"), "--runroot", str(self._state / "run")),
            *("--tmpdir", str(self._state / "tmp")),
            *("--network-config-dir", str(self._state / "networks")),
            *("--storage-driver", "overlay", "--storage-opt", f"additionalimagestore={self._store}"),
            *("--runtime", "crun", "--runtime-flag", f"root={self._state / 'crun'}"),
            *("--cgroup-manager", "cgroupfs", "--events-backend", "none"),
            *arguments,
        ]
        return [*HIDE_CGROUPS, *podman] if self._hides_cgroups else podman

    @property
    def _settings(self) -> Path:
        return self._state / "containers.conf"

    def run_command(self, spec: ContainerSpec, pid_file: Path, conmon_file: Path) -> list[str]:
        """The whole command line that starts `spec`, in place of one of its name that has died."""
        options = [
            *("run", "--rm", "--replace"),
            *("--name", spec.name, "--hostname", spec.name),
            *("--pidfile", str(pid_file), "--conmon-pidfile", str(conmon_file)),
            "--pull=never",
            f"--network=ns:{spec.namespace}",
            *([f"--add-host={name}:{address}" for name, address in spec.hosts] or ["--no-hosts"]),
            # Without servers of its own podman would give it the machine's, which no lab has.
            *([f"--dns={server}" for server in spec.nameservers] or [NO_SERVERS]),
            # What is not needed is not there: rights, writable files, cgroups (left behind by a killed lab).
            f"--user={SERVICE_ID}:{SERVICE_ID}",
            "--cap-drop=all",
            *[f"--cap-add={capability}" for capability in spec.capabilities],
            "--security-opt=no-new-privileges",
            "--umask=0077",
            # podman's own places for temporary files are no ordinary user's everywhere (/run of podman 5).
            *("--read-only", "--read-only-tmpfs=false"),
            *(f"--tmpfs={folder}:rw,mode=1777" for folder in ("/tmp", "/run", "/var/tmp")),
            "--cgroups=disabled",
            *limits(),
            # The container writes to this process's output itself: nothing in between loses its last words.
            "--log-driver=passthrough",
            *[f"--volume={m.source}:{m.target}:{'rw' if m.writable else 'ro'}" for m in spec.mounts],
            *[f"--env={name}={value}" for name, value in spec.environment],
        ]
        entrypoint = [f"--entrypoint={spec.entrypoint}"] if spec.entrypoint else []
        return self.command(*options, *entrypoint, spec.image, *spec.arguments)

    async def run(self, spec: ContainerSpec) -> Container:
        """Start a container; it is running, or has failed with a word in its log, some 0.2 s later."""
        spec.log.parent.mkdir(parents=True, exist_ok=True)
        self._state.mkdir(parents=True, exist_ok=True)
        self._settings.write_text(LOCKS)
        pid_file, conmon_file = (self._state / f"{spec.name}.{kind}" for kind in ("pid", "conmon"))
        pid_file.unlink(missing_ok=True)
        conmon_file.unlink(missing_ok=True)
        # What one said that was there before it (and has died) stays.
        log = os.open(spec.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            process = await self._runner(self.run_command(spec, pid_file, conmon_file), log)
        finally:
            os.close(log)
        if isinstance(process, ContainerProcess):
            process.pid_file, process.conmon_file = pid_file, conmon_file
            process.keep_watch()
        return Container(spec.name, spec.log, process)


NO_SERVERS = "--volume=/dev/null:/etc/resolv.conf:ro"
"""A resolv.conf without servers: names are asked for in the container's own namespace, in vain."""

LOCKS = """[engine]
lock_type = "file"
"""
"""containers.conf(5): locks below `--tmpdir`, so that they end with the lab. podman's own are 2,048 in the
machine's shared memory, and those of labs that were killed are never given back: after some 700 of them no
container starts any more."""

HIDE_CGROUPS = (
    *("unshare", "--mount", "--propagation", "slave", "sh", "-c"),
    *('mount -t tmpfs -o ro,size=4k cgroup /sys/fs/cgroup && exec "$@"', "podman"),
)
"""crun 1.8 refuses machines with both cgroup versions mounted, even where the container has none: so it
sees none."""


def has_hybrid_cgroups(root: Path = Path("/sys/fs/cgroup")) -> bool:
    """Whether the machine mounts cgroup version 2 beside version 1."""
    return not (root / "cgroup.controllers").exists() and (root / "unified").exists()


PODMANS_PROCESSES = 32 * 1024
"""To so many processes podman 4 limits itself while it starts."""


def limits() -> list[str]:
    """Open files and processes as they are now: not every machine grants podman's higher defaults. Nor may a
    container always have more processes than podman has left itself (without CAP_SYS_RESOURCE)."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    processes = [
        PODMANS_PROCESSES if most == resource.RLIM_INFINITY else min(most, PODMANS_PROCESSES)
        for most in resource.getrlimit(resource.RLIMIT_NPROC)
    ]
    return [f"--ulimit=nofile={files[0]}:{files[1]}", f"--ulimit=nproc={processes[0]}:{processes[1]}"]
