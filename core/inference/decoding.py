"""Greedy decoding: many captions at a time, several tokens at a time where the model likely repeats itself."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import UsageError
from core.inference.book import DraftBook, Place
from core.inference.decoder import DecoderState, Scores
from core.inference.engine import Engine, filled_up

PAD_ID = 0
KEEP_SHARE = 0.75  # finished rows are dropped once fewer than this share of the batch still writes
MIN_TOKENS = {"sleepcli": 1, "sleeplm": 16}  # with the start counted; the published setting is 16
LARGEST_SCORES = 1 << 24  # scores of one step: captions × tokens × vocabulary
CALL_COST = 0.5  # of a step, beside one for each of its tokens
SCOUTS = 8  # texts of a domain from which what comes after them is guessed
FIRST_ROOM = 30  # tokens that caches are made for at first


@dataclass(frozen=True)
class DecodeOptions:
    """Wishes of a caller."""

    min_tokens: int = 1
    """No end before this many tokens, the start counted."""
    max_tokens: int = 0
    """Most tokens, start and end counted; 0 for the model's context."""
    rows: int = 0
    """Texts written at a time, 0 for what suits the model; it bounds memory and changes no result."""
    drafts: bool = True
    """Whether what was written before is offered; it saves time and changes no result."""


@dataclass(frozen=True)
class Decoded:
    """One text as tokens."""

    ids: NDArray[np.int64]
    """[T] token ids without start and end."""
    probabilities: NDArray[np.float32]
    """[T] probability that the model gave each token."""
    finished: bool
    """False where the text was cut at the longest length."""


def greedy(
    engine: Engine,
    decoder_tokens: NDArray[np.float32],
    domains: Sequence[int] | NDArray[np.int64],
    options: DecodeOptions | None = None,
    epochs: Sequence[int] | NDArray[np.intp] | None = None,
) -> list[Decoded]:
    """Write one text a row, always taking the likeliest token (the lowest id among equals).

    A row ends at the end token, at the padding token, or at the longest length.

    Parameters
    ----------
    engine
        A bundle with a decoder.
    decoder_tokens
        [E, Q, W] signal tokens of epochs.
    domains
        [n] condition indexes.
    options
        Lengths and batch size.
    epochs
        [n] the row of `decoder_tokens` that each text is about; None: one text an epoch, in their order.

    Returns
    -------
    list
        n texts, in the order of `domains`.
    """
    options = options or DecodeOptions(MIN_TOKENS[engine.bundle.kind])
    longest = longest_text(engine, options.max_tokens)
    conditions = np.asarray(domains, np.int64)
    about = np.arange(len(conditions)) if epochs is None else np.asarray(epochs, np.intp)

    def write(part: NDArray[np.intp]) -> list[Decoded]:
        rows = filled_up(part, options.rows or engine.rows) if engine.fixed_shapes else part
        used, places = np.unique(about[rows], return_inverse=True)
        tokens = decoder_tokens[used]
        if engine.fixed_shapes:
            tokens = filled_up(tokens, len(rows))
        state = engine.decoder.start(tokens, places.astype(np.int64), conditions[rows], min(longest, FIRST_ROOM))
        return _Writing(engine, state, conditions[rows], longest, options).texts(len(part))

    texts: list[Decoded | None] = [None] * len(conditions)
    divided = parts(conditions, options.rows or engine.rows, apart=engine.small)
    if engine.small and options.drafts:
        divided = scouted(divided, conditions, engine.book.knows)
    for part, written in zip(divided, engine.together(write, divided), strict=True):
        for row, text in zip(part, written, strict=True):
            texts[row] = text
    return [text for text in texts if text is not None]


def longest_text(engine: Engine, wanted: int) -> int:
    """Give the most tokens of a text, start and end counted; UsageError where the model has no such length."""
    longest = wanted or engine.bundle.context_length
    if not 2 <= longest <= engine.bundle.context_length:
        raise UsageError(
            f"A text of the model {engine.bundle.name} may have 2 to {engine.bundle.context_length} tokens, "
            f"not {longest}."
        )
    return longest


def parts(domains: NDArray[np.int64], most: int, apart: bool = False) -> list[NDArray[np.intp]]:
    """Divide texts into batches of about equal size, those of one domain side by side: they are about as long.

    With `apart` no batch holds texts of two domains: what is offered to its rows is then as long for each of them.
    """
    if most < 1:
        raise UsageError(f"Texts cannot be written {most} at a time.")
    order = np.argsort(domains, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(domains[order])) + 1) if apart else [order]
    return [part for group in groups if len(group) for part in np.array_split(group, -(-len(group) // most))]


def scouted(
    divided: Sequence[NDArray[np.intp]], domains: NDArray[np.int64], known: Callable[[int], bool]
) -> list[NDArray[np.intp]]:
    """Cut a few texts off the first batch of each domain of which nothing is known, to be written before all others."""
    scouts: dict[int, NDArray[np.intp]] = {}
    others = []
    for part in divided:
        domain = int(domains[part[0]])
        new = domain not in scouts and not known(domain)
        if new:
            scouts[domain] = part[:SCOUTS]
        if len(rest := part[SCOUTS if new else 0 :]):
            others.append(rest)
    return [*scouts.values(), *others]


class _Writing:
    """One batch of texts on the way to their ends.

    Parameters
    ----------
    engine
        The model.
    state
        The batch's captions, started.
    domains
        [B] condition indexes.
    longest
        Most tokens, start and end counted.
    options
        Least length, and whether drafts are offered.
    """

    def __init__(
        self, engine: Engine, state: DecoderState, domains: NDArray[np.int64], longest: int, options: DecodeOptions
    ) -> None:
        count = len(domains)
        self.engine, self.state, self.domains, self.longest = engine, state, domains, longest
        self.min_tokens = options.min_tokens
        offers = options.drafts and not engine.fixed_shapes and not engine.decoder.one_by_one
        self.book: DraftBook | None = engine.book if offers else None
        self.end = engine.tokenizer.end_id
        self.ids = np.zeros((count, longest), np.int64)
        self.chances = np.zeros((count, longest), np.float32)
        self.lengths = np.zeros(count, np.intp)
        self.finished = np.zeros(count, bool)
        self.slots = np.arange(count)  # row of the batch -> text
        self.position = np.zeros(count, np.int64)  # tokens of each row that the caches hold
        self.given = np.full(count, engine.tokenizer.start_id, np.int64)  # the token that comes next into the caches
        self.places: list[Place | None] = [self.book.root(int(d)) if self.book else None for d in domains]

    def texts(self, count: int) -> list[Decoded]:
        """Write the first `count` texts to their ends; the others only fill the batch up."""
        writing = self.slots < count
        while writing.any():
            if writing.mean() < KEEP_SHARE and not self.engine.fixed_shapes:
                self._keep(np.flatnonzero(writing))
                writing = np.ones(len(self.slots), bool)
            writing &= ~self._advance(writing)
        self._remember(count)
        return [
            Decoded(
                self.ids[row, : self.lengths[row]].copy(),
                self.chances[row, : self.lengths[row]].copy(),
                bool(self.finished[row]),
            )
            for row in range(count)
        ]

    def _remember(self, count: int) -> None:
        """Write the whole ones of the first `count` texts into the book, equal ones at once."""
        if self.book:
            rows = np.flatnonzero(self.finished[:count])
            told = ((int(self.domains[row]), *self.ids[row, : self.lengths[row]].tolist(), self.end) for row in rows)
            for (domain, *tokens), times in Counter(told).items():
                self.book.add(domain, tokens, times)

    def _advance(self, writing: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Take one step and give, for each row, whether its text has ended."""
        drafts = self._drafts(writing)
        scores = self._scores(drafts, writing)
        agreed = (scores.token[:, :-1] == drafts[:, 1:]) & (drafts[:, 1:] != PAD_ID)
        accepted = np.cumprod(agreed, axis=1).sum(axis=1)  # offered tokens that are the model's own
        last = scores.token[np.arange(len(drafts)), accepted]
        ended = (last == self.end) | (last == PAD_ID)
        full = self.position + accepted + 1 >= self.longest - 1  # the last position is the end token's
        told = accepted + ~(ended | full)
        rows, shifts = np.nonzero(writing[:, None] & (np.arange(drafts.shape[1]) < told[:, None]))
        texts, places = self.slots[rows], self.position[rows] + shifts
        self.ids[texts, places] = scores.token[rows, shifts]
        self.chances[texts, places] = scores.chance[rows, shifts]
        self.lengths[self.slots[writing]] += told[writing]
        self.finished[self.slots[writing & ended]] = True
        going = writing & ~ended & ~full
        if self.book:
            for row in np.flatnonzero(going):
                self.places[row] = self.book.after(self.places[row], scores.token[row, : accepted[row] + 1].tolist())
        self.position[going] += accepted[going] + 1
        self.given[going] = last[going]
        return np.asarray(ended | full, bool)

    def _scores(self, drafts: NDArray[np.int64], writing: NDArray[np.bool_]) -> Scores:
        bias = None
        if self.position.max() + 1 < self.min_tokens:
            bias = np.zeros((1, self.engine.tokenizer.vocab_size), np.float32)
            bias[0, self.end] = -np.inf
        return self.engine.decoder.step(self.state, drafts, self.position, bias, writing=writing)

    def _drafts(self, writing: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Give each row's next token and what is offered after it, `[B, T]`, filled up with padding."""
        most = LARGEST_SCORES // (len(self.given) * self.engine.tokenizer.vocab_size) - 1
        if not self.book or most < 1 or self.position.max() + 1 < self.min_tokens:
            return self.given[:, None]
        known: dict[tuple[int, int], list[int]] = {}
        offers: list[list[int]] = []
        for row, place in enumerate(self.places):
            room = min(most, self.longest - 2 - int(self.position[row])) if writing[row] else 0
            key = (id(place), room)
            if key not in known:
                known[key] = self.book.offer(place, room, self.end) if place is not None else []
            offers.append(known[key])
        width = best_width(np.array([len(offer) for offer in offers])[writing])
        drafts = np.full((len(offers), width), PAD_ID, np.int64)
        drafts[:, 0] = self.given
        for row, offer in enumerate(offers):
            some = offer[: width - 1]
            drafts[row, 1 : 1 + len(some)] = some
        return drafts

    def _keep(self, rows: NDArray[np.intp]) -> None:
        """Let the rows that are finished go."""
        self.state = self.engine.decoder.keep_rows(self.state, rows)
        self.slots, self.position, self.given = self.slots[rows], self.position[rows], self.given[rows]
        self.places = [self.places[row] for row in rows]


def best_width(offered: NDArray[np.intp]) -> int:
    """Give the tokens a row of the step that brings most for its cost, where so many are offered to each row."""
    widths = np.arange(1, int(offered.max(initial=0)) + 2)
    gained = np.minimum(offered[:, None] + 1, widths).sum(axis=0)
    return int(widths[np.argmax(gained / (CALL_COST + widths))])
