"""Looking for many short texts in much data at once.

Each text of at least seven bytes holds a whole four-byte word at a position that four divides, wherever it
stands. So only a quarter of the positions is looked at: first for bits that none of the texts has there (the
highest of each byte, in ASCII), then by a table of the words that may stand there, and the few that remain
are compared byte by byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

WORD = 4
SHORTEST = 2 * WORD - 1
"""Bytes of the shortest text that is found this way; shorter ones are looked for one by one."""
TABLE_BITS = 16
_MIX = np.uint32(0x9E3779B1)
"""Multiplicative hashing (Knuth, The Art of Computer Programming 6.4)."""


class Needles:
    """A set of texts to look for."""

    def __init__(self, texts: Iterable[bytes]) -> None:
        self.texts = tuple(dict.fromkeys(text for text in texts if text))
        self._short = [text for text in self.texts if len(text) < SHORTEST]
        self._of_word: dict[int, list[tuple[bytes, int]]] = {}
        for text in self.texts:
            for offset in range(WORD if len(text) >= SHORTEST else 0):
                word = int.from_bytes(text[offset : offset + WORD], "little")
                self._of_word.setdefault(word, []).append((text, offset))
        self._words = np.array(sorted(self._of_word), np.uint32)
        self._absent = ~np.bitwise_or.reduce(self._words, initial=np.uint32(0))
        """Bits that no text has set in any of its words."""
        self._table = np.zeros(1 << TABLE_BITS, np.bool_)
        self._table[_hash(self._words)] = True

    def find(self, data: npt.NDArray[np.uint8]) -> Iterator[tuple[int, bytes]]:
        """Where each text begins in the data, in no order."""
        words = data[: len(data) // WORD * WORD].view("<u4")
        maybe = np.flatnonzero((words & self._absent) == 0)
        maybe = maybe[self._table[_hash(words[maybe])]]
        if len(maybe):
            maybe = maybe[np.isin(words[maybe], self._words)]
        for index in maybe.tolist():
            for text, offset in self._of_word[int(words[index])]:
                begin = index * WORD - offset
                if begin >= 0 and data[begin : begin + len(text)].tobytes() == text:
                    yield begin, text
        if self._short:
            whole = data.tobytes()
            for text in self._short:
                begin = whole.find(text)
                while begin >= 0:
                    yield begin, text
                    begin = whole.find(text, begin + 1)


def _hash(words: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    mixed: npt.NDArray[np.uint32] = (words * _MIX) >> np.uint32(32 - TABLE_BITS)
    return mixed
