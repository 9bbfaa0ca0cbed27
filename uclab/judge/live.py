"""Judges one call while its lab still runs, from the captures so far."""

from __future__ import annotations
