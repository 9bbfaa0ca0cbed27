"""Kinds that are declared where they live, in this package or in another one: endpoint kinds, faults, checks.

A package names the modules that declare something under an entry-point group of its `pyproject.toml`. They
are imported when somebody looks for the first time, and put what they declare on the list.

    [project.entry-points."uclab.faults"]
    my-faults = "my_package.faults"
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

T = TypeVar("T")
OWN = "uclab"
"""This package."""


class DeclarationError(Exception):
    """A package's declarations cannot be had: which, and why."""


class Declarations(Mapping[str, T], Generic[T]):
    """All of one kind by name, in the order in which they were declared."""

    def __init__(self, group: str, what: str) -> None:
        """`group` of entry points; `what` each of them is, for messages."""
        self.group = group
        self._what = what
        self._declared: dict[str, T] = {}
        self._loaded = False
        self._failure: DeclarationError | None = None
        """Told again to who looks again: what was imported before it is on the list, and is no second one."""

    def declare(self, name: str, thing: T) -> None:
        """Put one on the list. `DeclarationError` where another one has its name."""
        if name in self._declared:
            raise DeclarationError(f"{self._what} `{name}` is declared twice")
        self._declared[name] = thing

    def __getitem__(self, name: str) -> T:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> dict[str, T]:
        if self._failure is not None:
            raise self._failure
        if not self._loaded:
            self._loaded = True
            for point in sorted(entry_points(group=self.group), key=_is_of_another_package):
                self._import(point)
        return self._declared

    def _import(self, point: EntryPoint) -> None:
        try:
            point.load()
        except Exception as error:
            package = point.dist.name if point.dist is not None else "a package"
            reason = " ".join(str(error).split()) or type(error).__name__
            self._failure = DeclarationError(
                f"{package}: entry point `{point.name}` of `{self.group}` ({point.value})"
                f" cannot be loaded: {reason}"
            )
            raise self._failure from error


def _is_of_another_package(point: EntryPoint) -> bool:
    """The lab's own come first: who takes a name of theirs is the one who is told."""
    return point.dist is None or point.dist.name != OWN
