"""Which labs run beside each other (`make integration`).

Tests run in two processes. Those that need the machine for themselves (`pytest.mark.quiet`) come last, one
after the other; the tests of a file run in one process (`--dist loadfile`), so that a lab that they share is
brought up once.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.integration.machine import MACHINE


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quiet tests last."""
    items.sort(key=lambda item: item.get_closest_marker("quiet") is not None)


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
