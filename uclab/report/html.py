"""`report.html`: one self-contained page, verdict first, made to be shown to a customer."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from uclab.drawing.graph import draw
from uclab.judge.path.hop_trace import marking_columns
from uclab.judge.result.incidents import FLOW_WORDS
from uclab.judge.result.judgement import Finding, Judgement
from uclab.judge.result.media import HopRecord, Walk
from uclab.model.visible import visible
from uclab.plan.paths.reachability import Reachability
from uclab.plan.schema.plan import Plan
from uclab.report.failover_timeline import draw_timeline
from uclab.report.grouping import MARKS, grouped
from uclab.report.incidents import IncidentRow, incident_rows
from uclab.report.ladder import draw_ladder
from uclab.report.links import link_loads
from uclab.report.plots import plots
from uclab.report.results import DIRECTIONS, both

TEMPLATES = Path(__file__).with_name("templates")
SECTIONS = {
    "broken": "Failed and not shown",
    "failover": "Failover",
    "topology": "Topology",
    "measured": "Capacity",
    "calls": "Calls",
    "walk": "Hop by hop",
    "ladder": "Signalling",
    "plots": "Delay and load",
    "findings": "Findings",
    "run": "The run",
}


def html(plan: Plan, judgement: Judgement, host: dict[str, Any], timings: dict[str, float]) -> str:
    """The whole page; nothing in it is loaded from elsewhere."""
    walk = max(judgement.walks, key=lambda trace: len(trace.hops), default=None)
    qualities = [
        quality
        for call in judgement.calls
        for quality in (call.caller_to_callee, call.callee_to_caller)
        if quality
    ]
    groups = grouped(judgement.findings)
    values: dict[str, Any] = {
        "plan": plan,
        "judgement": judgement,
        "measured": judgement.measured,
        "calls": judgement.calls,
        "timings": timings,
        "css": Markup((TEMPLATES / "report.css").read_text()),  # ours: the autoescape would break its quotes
        "held": sum(group.held for group in groups),
        "asked": sum(group.asked for group in groups),
        "established": sum(call.established for call in judgement.calls),
        "worst_mos": min((quality.mos for quality in qualities), default=None),
        "worst_delay": max((q.delay_ms for q in qualities if q.delay_ms is not None), default=None),
        "worst_loss": max((quality.loss_pct for quality in qualities), default=None),
        "broken": [f for f in judgement.findings if f.verdict in ("fail", "not-shown")],
        "failover": failover_rows(plan, judgement),
        "flow_words": FLOW_WORDS,
        "drawing": draw(plan, link_loads(plan, judgement)),
        "walk": walk,
        "directions": DIRECTIONS,
        "columns": marking_columns(walk) if walk else {},
        "ladder": draw_ladder(judgement),
        "plots": plots(plan, judgement),
        "grouped": groups,
        "host_rows": host_rows(host),
        "marks": MARKS,
        "both": partial(both, missing="–"),
        "dash": dash,
        "evidence": evidence_text,
        "bar": lambda hop: bar(walk, hop) if walk else (0.0, 0.0),
    }
    values["sections"] = [(name, title) for name, title in SECTIONS.items() if values.get(name, True)]
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["j2"], default=True),
        undefined=StrictUndefined,
        finalize=harmless,
    )
    return environment.get_template("report.html.j2").render(values)


def harmless(value: object) -> object:
    """A value as the page shows it; markup of our own stays markup."""
    if isinstance(value, Markup):
        return value
    return visible(value) if isinstance(value, str) else value


def failover_rows(plan: Plan, judgement: Judgement) -> list[tuple[IncidentRow, str]]:
    """Each incident with the drawing of its worst round."""
    order = [line.name for lines in Reachability(plan).lines.values() for line in lines]
    lines = tuple(dict.fromkeys(order))
    return [(row, draw_timeline(row.worst, lines, plan.policy.min_mos)) for row in incident_rows(judgement)]


def evidence_text(finding: Finding) -> str:
    """Where the proof lies, in words."""
    evidence = finding.evidence
    packets = ", ".join(map(str, evidence.packets[:6])) + (" …" if len(evidence.packets) > 6 else "")
    parts = [evidence.tap or "", f"packets {packets}" if packets else "", evidence.words]
    return " · ".join(part for part in parts if part) or "–"


def dash(value: object) -> str:
    """A value, or a dash where there is none."""
    return "–" if value is None else str(value)


def bar(walk: Walk, hop: HopRecord) -> tuple[float, float]:
    """Left edge and width, in per cent, of the time that a packet spent before this hop."""
    total = max((hop_record.delay_us for hop_record in walk.hops), default=0.0) or 1.0
    position = walk.hops.index(hop)
    before = walk.hops[position - 1].delay_us if position else 0.0
    return 100 * before / total, 100 * max(hop.delay_us - before, 0.0) / total


def host_rows(host: dict[str, Any]) -> list[tuple[str, str]]:
    """The machine and the variants that the lab ran on, flat."""
    rows = []
    for key, value in host.items():
        if isinstance(value, dict):
            rows += [
                (f"{key}: {inner}", str(content))
                for inner, content in value.items()
                if not isinstance(content, dict | list)
            ]
        elif not isinstance(value, list):
            rows.append((key, str(value)))
    return rows
