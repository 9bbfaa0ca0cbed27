"""`junit.xml`: every finding is a test case, so that CI systems show a run as they show tests."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from uclab.judge.result.judgement import Finding, Judgement
from uclab.model.visible import visible
from uclab.plan.schema.plan import Plan

CONTROL_CHARACTERS = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd]")
"""What XML 1.0 cannot carry."""


def junit(plan: Plan, judgement: Judgement, timings: dict[str, float]) -> str:
    """JUnit XML text: `fail` is a failure, `not-shown` an error (it proves nothing and must not pass),
    `not-applicable` a skipped case."""
    verdicts = [finding.verdict for finding in judgement.findings]
    suite = ElementTree.Element(
        "testsuite",
        name=f"uclab {plan.topology}",
        tests=str(len(verdicts)),
        failures=str(verdicts.count("fail")),
        errors=str(verdicts.count("not-shown")),
        skipped=str(verdicts.count("not-applicable")),
        time=f"{sum(timings.values()):.3f}",
    )
    for finding in judgement.findings:
        add_case(suite, finding)
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def add_case(suite: ElementTree.Element, finding: Finding) -> None:
    """One finding as a test case."""
    case = ElementTree.SubElement(suite, "testcase", classname=clean(finding.id), name=clean(finding.subject))
    if finding.verdict == "pass":
        return
    if finding.verdict == "not-applicable":
        ElementTree.SubElement(case, "skipped", message=clean(finding.observed))
        return
    blame = f"blame: {finding.blame}\n" if finding.blame else ""
    evidence = finding.evidence
    outcome = ElementTree.SubElement(
        case,
        "failure" if finding.verdict == "fail" else "error",
        message=clean(finding.observed),
        type=", ".join(finding.requirement),
    )
    outcome.text = clean(
        f"expected: {finding.expected}\nobserved: {finding.observed}\n{blame}"
        f"tap: {evidence.tap or '-'} packets: {', '.join(map(str, evidence.packets)) or '-'}\n"
        f"{evidence.words}"
    )


def clean(text: str) -> str:
    """Text without characters that XML forbids, or that would command who reads it in a terminal."""
    return CONTROL_CHARACTERS.sub("?", visible(text))
