"""A scenario's own word on what is to happen, and on how it ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from uclab.access.record_files import write_record
from uclab.records.scenario import SCENARIO, SCENARIO_END, Ending, ScenarioEnd, ScenarioRecord


@dataclass
class Course:
    """How a scenario goes; who drives it may say that it was cut short without an error."""

    how: Ending = "whole"
    why: str = ""

    def interrupted(self, why: str) -> None:
        """It ends early, because somebody wanted it so."""
        self.how, self.why = "interrupted", why


@contextmanager
def recorded(run_dir: Path, record: ScenarioRecord) -> Iterator[Course]:
    """Write down what is to happen before the block, and after it how it ended, by whatever error."""
    (run_dir / SCENARIO_END).unlink(missing_ok=True)
    write_record(run_dir / SCENARIO, record)
    course = Course()
    try:
        yield course
    except KeyboardInterrupt:
        course.interrupted("interrupted by the user")
        raise
    except BaseException as error:
        course.how, course.why = "crashed", f"{type(error).__name__}: {error}"
        raise
    finally:
        write_record(run_dir / SCENARIO_END, ScenarioEnd(time.time(), course.how, course.why))
