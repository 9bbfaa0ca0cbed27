"""What PJSIP calls must not fail."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from typing import ParamSpec

P = ParamSpec("P")


def guarded(callback: Callable[P, None]) -> Callable[P, None]:
    """A callback whose exceptions are logged: an exception must not pass through PJSIP's C code."""

    @functools.wraps(callback)
    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            callback(*args, **kwargs)
        except Exception:
            traceback.print_exc()

    return call
