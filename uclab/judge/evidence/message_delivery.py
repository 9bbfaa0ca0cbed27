"""What was sent as text messages against what came in: how they differ (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from uclab.records.run import MessageRecord


@dataclass(frozen=True)
class Sent:
    """What was sent."""

    records: tuple[MessageRecord, ...]
    """In order."""
    open: tuple[MessageRecord, ...] = ()
    """Those of them whose sender got no answer: each may have arrived, or not."""

    @property
    def accepted(self) -> tuple[MessageRecord, ...]:
        """Those that have to arrive."""
        return tuple(record for record in self.records if record not in self.open)


@dataclass(frozen=True)
class Difference:
    """How what came in differs from what was sent."""

    words: str
    lost: tuple[MessageRecord, ...] = ()

    def __str__(self) -> str:
        return self.words


def difference(sent: Sent, got: Sequence[str]) -> Difference | None:
    """None where nothing is amiss."""
    texts = [record.text for record in sent.records]
    wanted, counted = Counter(texts), Counter(got)
    extra = counted - wanted
    twice = [text for text in extra if text in wanted]
    strange = [text for text in extra if text not in wanted]
    if twice:
        return Difference(f"{sum(extra[text] for text in twice)} delivered more than once: {twice[0]!r}")
    if strange:
        return Difference(f"delivered as {strange[0]!r}, which nobody sent")
    left = Counter(got)
    lost = []
    for record in sent.accepted:
        if not left[record.text]:
            lost.append(record)
        left[record.text] -= 1
    if lost:
        count = len(sent.accepted)
        return Difference(f"{count - len(lost)} of {count} reported by the recipient", tuple(lost))
    missing = wanted - counted
    came = []
    for text in texts:
        if missing[text]:
            missing[text] -= 1
        else:
            came.append(text)
    if list(got) != came:
        return Difference("delivered in another order than they were sent in")
    return None
