"""Network namespaces: make many quickly, name them, step into one for the length of a `with` block.

A namespace lives as long as somebody holds it: its name under `/run/netns` (a bind mount in the lab's private
mount namespace), our file descriptor, or a process in it. When the lab's process tree dies, all three go and
the kernel removes the namespace with every interface in it (namespaces(7), network_namespaces(7)).
"""

from __future__ import annotations

import ctypes
import os
import resource
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

NETNS_DIR = Path("/run/netns")
"""Where `ip netns` and podman look for names."""

_CLONE_NEWNET = 0x40000000
_MS_BIND = 0x1000
_MNT_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)
_prepared: set[Path] = set()


class NamespaceError(OSError):
    """A namespace could not be made, entered or removed; the message names it."""


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise NamespaceError(number, f"{what}: {os.strerror(number)}")


@dataclass(frozen=True)
class Namespace:
    """A network namespace that exists. `fd` keeps it alive and is what setns(2) and rtnetlink take."""

    name: str
    path: Path
    fd: int

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A socket that belongs to this namespace for good, whichever thread uses it later."""
        with entered(self):
            return socket.socket(family, kind, protocol)

    def close(self) -> None:
        """Take the name away and let go; the kernel deletes the namespace once no process is left in it."""
        _check(_libc.umount2(os.fsencode(self.path), _MNT_DETACH), f"cannot unmount namespace {self.name}")
        self.path.unlink(missing_ok=True)
        os.close(self.fd)


@contextmanager
def entered(namespace: Namespace) -> Iterator[None]:
    """The calling thread is in `namespace` inside the block, and so are processes that it starts.

    Only this thread moves (setns(2) is per thread), so an event loop may use it as long as the block does not
    await.
    """
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.setns(namespace.fd, _CLONE_NEWNET), f"cannot enter namespace {namespace.name}")
        try:
            yield
        finally:
            _check(_libc.setns(home, _CLONE_NEWNET), "cannot return to the lab's own namespace")
    finally:
        os.close(home)


def current(name: str = "lab") -> Namespace:
    """The namespace that the calling thread is in, e.g. the lab's own. Do not `close` it."""
    return Namespace(
        name,
        Path(f"/proc/{os.getpid()}/ns/net"),
        os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC),
    )


def inherited(name: str, fd: int) -> Namespace:
    """The namespace of a descriptor that this process was started with; the programs it starts do not get
    it."""
    os.set_inheritable(fd, False)
    return Namespace(name, Path(f"/proc/{os.getpid()}/fd/{fd}"), fd)


def anonymous(name: str) -> Namespace:
    """A namespace without a path, for a trial; end it with `let_go`."""
    made: list[Namespace] = []
    errors: list[Exception] = []

    def work() -> None:
        try:
            _check(_libc.unshare(_CLONE_NEWNET), f"cannot make namespace {name}")
            made.append(current(name))
        except Exception as error:
            errors.append(error)

    _in_thread(work, errors)
    return made[0]


def let_go(namespace: Namespace) -> None:
    """Close our hold on a namespace that has no name."""
    os.close(namespace.fd)


def prepare_directory(directory: Path = NETNS_DIR) -> None:
    """Mount a private tmpfs, so that the host's own names and sockets there are neither seen nor touched.

    Once a process and directory; later calls do nothing. The caller must be in a mount namespace of its own
    with private propagation (`unshare --mount` makes both).
    """
    if directory in _prepared:
        return
    directory.mkdir(parents=True, exist_ok=True)
    mounted = _libc.mount(b"tmpfs", os.fsencode(directory), b"tmpfs", 0, b"mode=755")
    _check(mounted, f"cannot mount a tmpfs on {directory}")
    _prepared.add(directory)


def remove_all(namespaces: Iterable[Namespace], directory: Path = NETNS_DIR) -> None:
    """Let go of all namespaces of a directory at once: one unmount instead of 0.4 ms each (it waits for an
    RCU grace period)."""
    unmount(directory)
    for namespace in namespaces:
        os.close(namespace.fd)


def unmount(directory: Path) -> None:
    """Take a private folder away again, with all that is mounted in it."""
    _check(_libc.umount2(os.fsencode(directory), _MNT_DETACH), f"cannot unmount {directory}")
    _prepared.discard(directory)


def create(names: Iterable[str], directory: Path = NETNS_DIR) -> dict[str, Namespace]:
    """Make a namespace for each name. Raises `NamespaceError`; what was made before the error is taken back.

    A thread of its own unshares again and again (0.6 ms each on Linux 6.18) and ends; nobody else's namespace
    changes.
    """
    made: dict[str, Namespace] = {}
    errors: list[Exception] = []
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a descriptor a namespace

    def work() -> None:
        try:
            for name in names:
                _check(_libc.unshare(_CLONE_NEWNET), f"cannot make namespace {name}")
                made[name] = _keep(name, directory / name)
        except Exception as error:
            errors.append(error)

    try:
        _in_thread(work, errors)
    except BaseException:
        for namespace in made.values():
            namespace.close()
        raise
    return made


def _in_thread(work: Callable[[], None], errors: list[Exception]) -> None:
    """Run `work` in a thread of its own, whose namespace may change since it ends; raise what it put into
    `errors`."""
    thread = threading.Thread(target=work, name="namespaces")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


def _keep(name: str, path: Path) -> Namespace:
    """Give the calling thread's namespace a name and hold it by a descriptor."""
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))
    source = b"/proc/thread-self/ns/net"
    _check(_libc.mount(source, os.fsencode(path), None, _MS_BIND, None), f"cannot name namespace {name}")
    return Namespace(name, path, os.open(path, os.O_RDONLY | os.O_CLOEXEC))
