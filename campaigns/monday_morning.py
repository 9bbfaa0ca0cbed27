"""Monday morning: everybody plugs in at about the same time, by a logistic curve over the first third."""

from __future__ import annotations

import math

from locust import LoadTestShape

from campaigns import user_classes

ARRIVED_AFTER = 1 / 3
"""Share of the time after which all have come."""
STEEPNESS = 10.0


class RegisteredOnly(user_classes.RegisteredOnly):
    """A phone that is switched on and stays."""


class Morning(LoadTestShape):
    """As many users as `--users`, in `--run-time`; `--spawn-rate` is the most that come in a second."""

    use_common_options = True

    def tick(self) -> tuple[int, float] | None:
        """How many are to be there by now."""
        options = self.runner.environment.parsed_options
        now, whole = self.get_run_time(), float(options.run_time or 60)
        if now > whole:
            return None
        users = options.num_users or 1
        share = 1 / (1 + math.exp(-STEEPNESS * (now / (whole * ARRIVED_AFTER) - 0.5)))
        arrived = users if now >= whole * ARRIVED_AFTER else max(1, round(users * share))
        return arrived, float(options.spawn_rate or 100)
