"""How a lab says no."""

from __future__ import annotations


class Refused(Exception):
    """The lab cannot do what was asked; the message says why and what is possible."""


class RefusedCircuit(Refused):
    """An order for a private circuit that cannot be; nothing was changed."""
