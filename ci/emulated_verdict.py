"""What must hold in a run on an emulated processor; exit status 0 if it does.

    python ci/emulated_verdict.py results.json

Such a processor is about ten times slower: voice in real time may come late, or captures miss packets,
without any fault of the lab. Everything that does not hang on time must hold all the same; what does is
printed and not judged.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

MUST_HOLD = (
    "call.established",
    "hub.media",
    "hub.signalling",
    "lab.alive",
    "lab.isolation",
    "media.keys",
    "media.srtp",
    "privacy.readable",
    "qos.dscp",
    "qos.pcp",
    "qos.trust",
    "signalling.certificate",
    "signalling.registered",
    "signalling.tls",
    "vlan.port-control",
    "vlan.voice",
)
"""Each of these must be among the findings, and pass wherever it is. The others hang on time: `audio.heard`,
`capture.complete`, `qos.dissector` (needs complete captures), `quality.overload`, `quality.voice`."""


@dataclass(frozen=True)
class EmulatedVerdict:
    """What became of the findings that must hold, and which others failed; one line of text each."""

    broken: tuple[str, ...]
    excused: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """True where nothing that must hold is broken."""
        return not self.broken


def judge(findings: Iterable[Mapping[str, str]]) -> EmulatedVerdict:
    """Judge the findings of a `results.json` (pure)."""
    findings = list(findings)
    present = {finding["id"] for finding in findings}
    broken = [f"{name}: not among the findings" for name in MUST_HOLD if name not in present]
    excused: list[str] = []
    for finding in findings:
        if finding["verdict"] != "pass":
            (broken if finding["id"] in MUST_HOLD else excused).append(line(finding))
    return EmulatedVerdict(tuple(broken), tuple(excused))


def line(finding: Mapping[str, str]) -> str:
    """A finding in one line."""
    return f"{finding['id']} ({finding['subject']}): {finding['verdict']}: {finding['observed']}"


def main(results: Path) -> int:
    """Print what is broken and what is excused; the exit status."""
    verdict = judge(json.loads(results.read_text())["findings"])
    for words in verdict.excused:
        print(f"not judged on an emulated processor: {words}")
    for words in verdict.broken:
        print(f"BROKEN: {words}")
    if verdict.holds:
        print(f"all {len(MUST_HOLD)} findings that must hold do")
    return 0 if verdict.holds else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
