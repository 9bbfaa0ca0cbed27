"""The command line: `uclab VERB ...`."""

from uclab.cli.main import main

__all__ = ["main"]
