"""A text as the model wrote it, and the events that stand in it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from core.inference.decoding import Decoded
from core.inference.events import DraftEvent
from core.language.grammar import sentences
from core.language.read_back import read_back
from core.language.tokenizer import Tokenizer

_SPLIT_DIGITS = re.compile(r"(?<=\d) (?=\d)")
_SPLIT_DECIMAL = re.compile(r"(?<=\d) ?\. ?(?=\d)")
_SPLIT_MARK = re.compile(r" (?=[.,:;%)])|(?<=\() ")


@dataclass(frozen=True)
class Draft:
    """One text, with its slots still open."""

    tokenizer: Tokenizer
    """What turns the tokens into text."""
    decoded: Decoded
    """Tokens and their probabilities."""

    @cached_property
    def text(self) -> str:
        """The text with its slot and time tokens."""
        return _whole_text(self.tokenizer, tuple(self.decoded.ids.tolist()))

    def spans(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Yield each sentence with the probabilities of its tokens."""
        ids = self.decoded.ids.tolist()
        begin = 0
        for end in self._ends(ids):
            yield self._text(ids[begin:end]), self.decoded.probabilities[begin:end]
            begin = end

    def _ends(self, ids: Sequence[int]) -> Iterator[int]:
        """Yield the index after each sentence's last token; a decimal point ends none."""
        for end in range(1, len(ids)):
            if "." not in self.tokenizer.decode(ids[end - 1 : end]):
                continue
            before, after = self._text(ids[:end]), self._text(ids[: end + 2])
            if len(sentences(after)) > len(sentences(before)):
                yield end
        if ids:
            yield len(ids)

    def _text(self, ids: Sequence[int]) -> str:
        return _text_of(self.tokenizer, ids)


@lru_cache(maxsize=4096)
def _whole_text(tokenizer: Tokenizer, ids: tuple[int, ...]) -> str:
    """Give a text once, however often a night says it."""
    return _text_of(tokenizer, ids)


def _text_of(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    text = tokenizer.decode(ids)
    return joined_numbers(text) if tokenizer.kind == "clip" else text


def joined_numbers(text: str) -> str:
    """Close the spaces that the published tokenizer's decoding leaves inside numbers and before marks.

    `spo2 of 9 3 . 5 % .` gives `spo2 of 93.5%.`
    """
    return _SPLIT_MARK.sub("", _SPLIT_DECIMAL.sub(".", _SPLIT_DIGITS.sub("", text)))


def read_events(epoch: int, draft: Draft) -> Iterator[DraftEvent]:
    """Read the events of one epoch's text; confidence is the mean token probability of the sentence."""
    for text, chances in draft.spans():
        for event in read_back(text, "stage_event").events:
            yield DraftEvent(epoch, event.type, event.onset, event.duration, float(chances.mean()))
