"""What is wrong with an order for a campaign or a generator, before anything has started."""

from __future__ import annotations


class OrderRefused(Exception):
    """The order cannot be; the message says why and what would do (exit status 2)."""


class GeneratorFailed(Exception):
    """A generator could not be set up on this machine; all is as before (exit status 3)."""
