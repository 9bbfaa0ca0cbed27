"""Plays a wall phone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from endpoints_emu.factory import make_baresip
from endpoints_emu.phone import Phone
from uclab.plan.schema.plan import Endpoint
from uclab.runtime.node import NodeRuntime


def make(endpoint: Endpoint, runtime: NodeRuntime, folder: Path, ca_file: Path) -> Phone:
    """A baresip that knows one codec, unless a fault gave it others."""
    codecs = endpoint.codecs if endpoint.codecs != ("PCMU", "PCMA") else ("PCMA",)
    return make_baresip(replace(endpoint, codecs=codecs), runtime, folder, ca_file)
