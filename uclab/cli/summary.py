"""The summary at the end of a run: verdict first, then calls, findings by requirement, one walk, and where
the report lies."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from uclab.api import RunResult
from uclab.cli.console import Console, plain, wide_console
from uclab.judge.path.hop_trace import marking_columns
from uclab.judge.result.judgement import Finding, Judgement, Margin
from uclab.judge.result.media import JudgedCall, Walk
from uclab.report.grouping import MARKS, Group, grouped
from uclab.report.incidents import Spread, incident_rows
from uclab.report.results import DIRECTIONS, both

COLOURS = {"pass": "green", "fail": "red", "not-shown": "yellow", "not-applicable": "dim"}


def print_summary(result: RunResult) -> None:
    """Print the summary of a run to standard output."""
    console = wide_console(highlight=False)
    judgement = result.judgement
    groups = grouped(judgement.findings)
    console.print()
    console.print(
        f"[bold {COLOURS[judgement.verdict]}]{MARKS[judgement.verdict]} {judgement.verdict.upper()}[/]"
        f"  {sum(group.held for group in groups)} of {sum(group.asked for group in groups)} findings passed, "
        f"{established(judgement)} of {len(judgement.calls)} calls established"
    )
    if judgement.margins:
        console.print("closest to the limits: " + margin_words(judgement.margins), markup=False)
    if judgement.interferences:
        console.print("[yellow]! this lab was changed on purpose:[/]")
        for interference in judgement.interferences:
            console.print(f"    {interference.text}", markup=False)
    if judgement.too_busy:
        console.print(judgement.too_busy, markup=False)
    console.print()
    console.print(incident_table(judgement) if judgement.incidents else call_table(judgement.calls))
    console.print()
    console.print(finding_table(groups))
    for finding in judgement.findings:
        if finding.verdict in ("fail", "not-shown"):
            print_finding(console, finding)
    walk = None if judgement.incidents else chosen_walk(judgement)
    if walk is not None:
        console.print()
        console.print(walk_table(walk))
    console.print()
    console.print(
        "took: " + ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in result.timings.items())
    )
    console.print(f"report: {result.run_dir / 'report.html'}", markup=False)


def margin_words(margins: Sequence[Margin]) -> str:
    """How near the worst call came to each limit."""
    return "; ".join(f"{margin.words}, {margin.subject}" for margin in margins)


def established(judgement: Judgement) -> int:
    """How many calls came to be."""
    return sum(call.established for call in judgement.calls)


def call_table(calls: tuple[JudgedCall, ...]) -> Table:
    """Each call with set-up time and the quality of both directions (caller to callee / callee to caller)."""
    table = Table(
        title="calls (caller → callee / callee → caller)", title_justify="left", box=None, pad_edge=False
    )
    for column in ("call", "kind"):
        table.add_column(column)
    for column in ("setup ms", "MOS", "loss %", "worst 5 s jitter ms", "delay ms"):
        table.add_column(column, justify="right")
    for call in calls:
        if not call.established:
            table.add_row(
                plain(f"{call.caller} → {call.callee}"), call.kind, "[red]not established[/]", "", "", "", ""
            )
            continue
        table.add_row(
            plain(f"{call.caller} → {call.callee}"),
            call.kind,
            f"{call.setup_ms:.0f}" if call.setup_ms is not None else "-",
            both(call, "mos", 2),
            both(call, "loss_pct", 2),
            both(call, "judged_jitter_ms", 2),
            both(call, "delay_ms", 1),
        )
    return table


def incident_table(judgement: Judgement) -> Table:
    """Each incident with its impact on callers: median (highest) over calls and rounds."""
    title = "incidents: media gap at the receiver in ms, at failure and at failback; median (highest)"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("")
    table.add_column("incident", no_wrap=True)
    table.add_column("calls")
    for column in (
        "detection ms",
        "from site",
        "to site",
        "re-registered s",
        "MOS",
        "failback: from",
        "to site",
    ):
        table.add_column(column, justify="right", no_wrap=True)
    for row in incident_rows(judgement):
        fates = ", ".join(f"{count} {fate}" for fate, count in row.fates.items())
        table.add_row(
            f"[{COLOURS[row.verdict]}]{MARKS[row.verdict]}[/]",
            plain(row.title if row.survivable else f"{row.title} (no alternate path)"),
            fates or "-",
            words(row.detection_ms),
            words(row.gaps.get("out", row.gaps.get("within"))),
            words(row.gaps.get("in")),
            words(row.registration_s, 1),
            words(row.mos, 2),
            words(row.failback_gaps.get("out", row.failback_gaps.get("within"))),
            words(row.failback_gaps.get("in")),
        )
    return table


def words(spread: Spread | None, digits: int = 0) -> str:
    """Median and highest of a distribution, or a dash where nothing was measured."""
    if spread is None:
        return "-"
    highest = f" ({spread.high:.{digits}f})" if spread.count > 1 else ""
    return f"{spread.median:.{digits}f}{highest}"


def finding_table(groups: Sequence[Group]) -> Table:
    """What passed, by requirement and finding."""
    table = Table(title="findings", title_justify="left", box=None, pad_edge=False)
    table.add_column("")
    table.add_column("requirement")
    table.add_column("finding")
    table.add_column("passed", justify="right")
    table.add_column("expected")
    for group in groups:
        table.add_row(
            f"[{COLOURS[group.verdict]}]{MARKS[group.verdict]}[/]",
            group.requirement,
            group.id,
            f"{group.held}/{group.asked}" if group.asked else "not applicable",
            Text(group.expected),
        )
    return table


def print_finding(console: Console, finding: Finding) -> None:
    """One finding that did not pass, with its evidence."""
    colour = COLOURS[finding.verdict]
    console.print(
        f"\n[{colour}]{MARKS[finding.verdict]} {finding.id}[/] {plain(finding.subject)}"
        + (f"  [bold]→ {plain(finding.blame)}[/]" if finding.blame else "")
    )
    console.print(f"    expected: {finding.expected}", markup=False)
    console.print(f"    observed: {finding.observed}", markup=False)
    evidence = finding.evidence
    if evidence.tap or evidence.words:
        packets = f" packets {', '.join(map(str, evidence.packets[:8]))}" if evidence.packets else ""
        console.print(f"    evidence: {evidence.tap or ''}{packets} {evidence.words}".rstrip(), markup=False)


def chosen_walk(judgement: Judgement) -> Walk | None:
    """The longest walk: it shows most of the network."""
    return max(judgement.walks, key=lambda walk: len(walk.hops), default=None)


def walk_table(walk: Walk) -> Table:
    """One direction of one call, hop by hop."""
    table = Table(
        title=f"hop by hop: {walk.call}, {DIRECTIONS[walk.direction]}",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    table.add_column("tap")
    columns = marking_columns(walk)
    for column in (*columns, "delay ms", "packets", "lost"):
        table.add_column(column, justify="right")
    for hop in walk.hops:
        values = [getattr(hop, name) for name in columns.values()]
        table.add_row(
            hop.tap,
            *("-" if value is None else str(value) for value in values),
            f"{hop.delay_us / 1000:.2f}",
            str(hop.packets),
            str(hop.lost),
        )
    return table
