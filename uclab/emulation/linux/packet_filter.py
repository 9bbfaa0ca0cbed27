"""nftables rulesets, loaded in a device's namespace in one transaction."""

from __future__ import annotations

import subprocess

from uclab.emulation.linux import netns
from uclab.emulation.linux.netns import Namespace


class RulesetError(Exception):
    """nft refused a ruleset; the message has its words and the line."""


def load(namespace: Namespace, ruleset: str) -> None:
    """Load a ruleset (`nft -f -`): all of it or nothing."""
    with netns.entered(namespace):
        done = subprocess.run(["nft", "-f", "-"], input=ruleset, capture_output=True, text=True)
    if done.returncode:
        raise RulesetError(f"{namespace.name}: nft refused the ruleset: {done.stderr.strip()}")
