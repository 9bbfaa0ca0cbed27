"""A claim that captures are to prove: says once what is expected of whom, and ends as one finding."""

from __future__ import annotations

from dataclasses import dataclass, replace

from uclab.judge.result.judgement import Evidence, Finding, Verdict


@dataclass(frozen=True)
class Claim:
    """What is expected of a subject; becomes a `Finding` by `passed`, `failed`,
    `not_shown` or `not_applicable`."""

    id: str
    requirement: tuple[str, ...]
    subject: str
    expected: str

    def passed(self, observed: str, evidence: Evidence | None = None) -> Finding:
        """It was observed to hold."""
        return self._finding(observed, "pass", evidence, None)

    def failed(self, observed: str, evidence: Evidence | None = None, blame: str | None = None) -> Finding:
        """It was observed not to hold; `blame` names the device, where one can be named."""
        return self._finding(observed, "fail", evidence, blame)

    def not_shown(self, why: str, evidence: Evidence | None = None) -> Finding:
        """It was not observed, so it does not pass."""
        return self._finding(why, "not-shown", evidence, None)

    def not_applicable(self, why: str) -> Finding:
        """Nobody asked for it in this run: it counts neither for nor against."""
        return self._finding(why, "not-applicable", None, None)

    def _finding(
        self, observed: str, verdict: Verdict, evidence: Evidence | None, blame: str | None
    ) -> Finding:
        return Finding(
            self.id,
            self.requirement,
            self.subject,
            self.expected,
            observed,
            verdict,
            evidence or Evidence(),
            blame,
        )


def each_call(finding: Finding) -> list[Finding]:
    """A finding on a line or route once for each direction of a call that it counts, as its subject; any
    other as it is."""
    counted = finding.evidence.directions
    if ":" in finding.subject or not counted:
        return [finding]
    return [replace(finding, subject=name) for name in counted]
