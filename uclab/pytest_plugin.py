"""pytest plugin (D10): `@pytest.mark.lab("enterprise-hq")` and the `lab` fixture.

```python
@pytest.mark.lab("enterprise-hq")
def test_voice_is_good(lab):
    call = lab.call("desk1", "soft2", seconds=5)
    assert call.mos > 4.0
```
A lab is shared by all tests of a module that name the same topology and faults; each pytest-xdist worker has
its own. When a test
fails, captures, logs and key log are kept, and their place is printed.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from uclab.testing import LabUnderTest

FAILED = pytest.StashKey[bool]()
RUNS_OPTION = "--uclab-runs"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where runs of failed tests are kept."""
    parser.getgroup("uclab").addoption(
        RUNS_OPTION,
        default=None,
        metavar="DIR",
        help="keep captures and logs of failed labs in DIR (default: the temporary folder)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known."""
    config.addinivalue_line("markers", "lab(topology, faults=()): the lab that the `lab` fixture brings up")
    config.addinivalue_line("markers", "req(*ids): requirements that a test shows")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether a test that used a lab failed, and say where its evidence lies."""
    report = yield
    lab = getattr(item, "funcargs", {}).get("lab")
    if lab is not None and hasattr(lab, "run_dir") and report.when == "call" and report.failed:
        lab.keep = True
        report.sections.append(("uclab", f"captures, logs and key log are kept in {lab.run_dir}"))
    return report


@pytest.fixture(scope="module")
def lab_pool(request: pytest.FixtureRequest) -> Iterator[dict[tuple[object, ...], LabUnderTest]]:
    """The labs of this module, taken down at its end."""
    pool: dict[tuple[object, ...], LabUnderTest] = {}
    yield pool
    for lab in pool.values():
        lab.close()
        if not lab.keep:
            shutil.rmtree(lab.run_dir, ignore_errors=True)


@pytest.fixture
def lab(request: pytest.FixtureRequest, lab_pool: dict[tuple[object, ...], LabUnderTest]) -> LabUnderTest:
    """A running lab of the topology that the test's `lab` marker names."""
    from uclab.access.names import as_name
    from uclab.testing import LabUnderTest

    marker = request.node.get_closest_marker("lab")
    if marker is None or not marker.args:
        raise pytest.UsageError(
            f"{request.node.nodeid} uses the `lab` fixture: "
            'name its topology by @pytest.mark.lab("enterprise-hq")'
        )
    key = (str(marker.args[0]), tuple(marker.kwargs.get("faults", ())))
    if key not in lab_pool:
        parent = request.config.getoption(RUNS_OPTION)
        if parent:
            Path(parent).mkdir(parents=True, exist_ok=True)
        lab_pool[key] = LabUnderTest(
            key[0], key[1], Path(tempfile.mkdtemp(prefix=f"uclab-{as_name(Path(key[0]).stem)}-", dir=parent))
        )
    return lab_pool[key]
