"""Which labs run beside each other (`make integration`).

Tests run in two processes. Those that need the machine for themselves (`pytest.mark.quiet`) come last, one
after the other; tests that look at the same lab run in one process, so that it is brought up once.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.integration.machine import MACHINE

HERE = Path(__file__).parent
SHARED_LAB = "module"
"""The scope of a fixture that brings up a lab for all tests of a file."""


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in a hook of its own
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quiet tests last; a file whose tests share a lab is one group."""
    items.sort(key=lambda item: item.get_closest_marker("quiet") is not None)
    for item in items:
        if item.path.is_relative_to(HERE) and _shares_a_lab(item):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A test has the machine alone, or with one other, from its set-up to its end."""
    if item.get_closest_marker("quiet") is not None:
        MACHINE.have_alone()
    else:
        MACHINE.share()
    try:
        return (yield)
    finally:
        MACHINE.let_go()


def _shares_a_lab(item: pytest.Item) -> bool:
    names = getattr(item, "fixturenames", ())
    info = getattr(item, "_fixtureinfo", None)
    known = info.name2fixturedefs if info is not None else {}
    return any(known[name][-1].scope == SHARED_LAB for name in names if known.get(name))
