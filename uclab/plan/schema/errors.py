"""What a topology can be right in form and still not allow."""

from __future__ import annotations


class PlanError(ValueError):
    """The topology cannot be planned; the message names the object and the way out. Exit status 2."""
