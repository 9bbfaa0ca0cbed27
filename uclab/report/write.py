"""Writes all reports of a run into its run directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from uclab.access.private_files import write_private
from uclab.judge.evidence.run_files import RunFiles, shortened
from uclab.judge.result.judgement import Judgement
from uclab.plan.schema.plan import Plan
from uclab.report.html import html
from uclab.report.junit import junit
from uclab.report.results import results


def write_reports(run_dir: Path, plan: Plan, judgement: Judgement, timings: dict[str, float]) -> None:
    """Write `results.json`, `junit.xml` and the self-contained `report.html`, for their owner alone and
    through no link. Raises `FolderRefused`."""
    host = read_host(run_dir)
    figures = json.dumps(results(plan, judgement, host, timings), indent=1) + "\n"
    write_private(run_dir, "results.json", figures)
    write_private(run_dir, "junit.xml", junit(plan, judgement, timings))
    write_private(run_dir, "report.html", html(plan, judgement, host, timings))


def read_host(run_dir: Path) -> dict[str, Any]:
    """The machine and the variants that the lab ran on; empty where the run recorded none. Raises
    `RunError`."""
    files = RunFiles(run_dir)
    host = files.data("host.json")
    if host is not None and not isinstance(host, dict):
        files.refuse("host.json", f"expected an object, found {shortened(host)}")
    return host or {}
