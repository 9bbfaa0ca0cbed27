"""The command line: `uclab VERB ...`."""

import sys

from uclab.declarations import DeclarationError

__all__ = ["start"]


def start() -> None:
    """Run a verb. What other packages declare is read with the verbs: one that cannot be loaded is named."""
    try:
        from uclab.cli.main import main
    except DeclarationError as error:
        print(f"uclab: {error}", file=sys.stderr)
        sys.exit(2)
    main()
