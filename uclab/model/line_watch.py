"""How a router with several lines to providers finds out that one of them carries nothing (N5, V2)."""

from __future__ import annotations

from pydantic import Field

from uclab.model.schema_types import StrictModel


class LineWatch(StrictModel):
    """A router's health check of its lines to providers: it asks public servers by each of them.

    A line that is up but leads nowhere is detected by that alone: nobody speaks BGP or BFD there. The values
    are uclab's own: routers that are bought mostly ask every second and miss three to five answers; these are
    faster, so that calls are back within a second. A line must have been good for `return_after_s` before it
    is used again, so that one that comes and goes does not take the calls along.
    """

    interval_ms: int = Field(default=150, ge=50, le=60_000)
    """Between two questions by the same line."""
    lost_after: int = Field(default=4, ge=2, le=100)
    """A line is lost after so many questions in a row without an answer."""
    return_after_s: float = Field(default=3, ge=0, le=3600)
    """Hold-down: so long a lost line must answer again before it is used."""
