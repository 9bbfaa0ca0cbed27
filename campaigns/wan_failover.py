"""A line fails under registered phones: `uclab campaign` cuts it after a third of the time and restores it
after two thirds; all phones come back at once, twice."""

from campaigns import user_classes


class RegisteredOnly(user_classes.RegisteredOnly):
    """A phone that comes back by itself."""
