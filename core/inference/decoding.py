"""Greedy decoding with a cache: many epochs and domains at a time, finished rows leave the batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import UsageError
from core.inference.engine import DecoderState, Engine, filled_up

PAD_ID = 0
KEEP_SHARE = 0.75  # rows are dropped once fewer than this share of the batch still writes
MIN_TOKENS = {"sleepcli": 1, "sleeplm": 16}  # with the start counted; the published setting is 16


@dataclass(frozen=True)
class DecodeOptions:
    """Wishes of a caller."""

    min_tokens: int = 1
    """No end before this many tokens, the start counted."""
    max_tokens: int = 0
    """Most tokens, start and end counted; 0 for the model's context."""
    rows: int = 128
    """Texts written at a time; it bounds memory and changes no result."""


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
) -> list[Decoded]:
    """Write one text a row, always taking the likeliest token (the lowest id among equals).

    A row ends at the end token, at the padding token, or at the longest length.

    Parameters
    ----------
    engine
        A bundle with a decoder.
    decoder_tokens
        [n, Q, W] signal tokens; repeat an epoch's row for each of its domains.
    domains
        [n] condition indexes.
    options
        Lengths and batch size.

    Returns
    -------
    list
        n texts, in the order of the rows.
    """
    options = options or DecodeOptions(MIN_TOKENS[engine.bundle.kind])
    longest = options.max_tokens or engine.bundle.context_length
    if not 2 <= longest <= engine.bundle.context_length or options.rows < 1:
        raise UsageError(
            f"A text of the model {engine.bundle.name} may have 2 to {engine.bundle.context_length} tokens, "
            f"not {longest}."
        )
    conditions = np.asarray(domains, np.int64)
    texts: list[Decoded] = []
    for first in range(0, len(conditions), options.rows):
        tokens, wanted = decoder_tokens[first : first + options.rows], conditions[first : first + options.rows]
        count = len(wanted)
        if engine.fixed_shapes:
            tokens, wanted = filled_up(tokens, options.rows), filled_up(wanted, options.rows)
        state = engine.prefill(np.ascontiguousarray(tokens), wanted)
        texts.extend(_write(engine, state, count, longest, options.min_tokens))
    return texts


def _write(engine: Engine, state: DecoderState, texts: int, longest: int, min_tokens: int) -> list[Decoded]:
    """Write the first `texts` rows of one batch to their ends; the others only fill it up."""
    count = len(state.logits)
    end_id = engine.tokenizer.end_id
    ids = np.zeros((count, longest), np.int64)
    probabilities = np.zeros((count, longest), np.float32)
    lengths = np.zeros(count, np.intp)
    finished = np.zeros(count, bool)
    slots = np.arange(count)  # batch row -> text
    writing = slots < texts  # of the rows in the batch
    while True:
        chosen, chance = _likeliest(state.logits, end_id if state.position < min_tokens else None)
        ended = writing & ((chosen == end_id) | (chosen == PAD_ID))
        finished[slots[ended]] = True
        writing &= ~ended
        if state.position >= longest - 1:  # the last position is the end token's
            break
        active = slots[writing]
        ids[active, state.position - 1] = chosen[writing]
        probabilities[active, state.position - 1] = chance[writing]
        lengths[active] += 1
        if not writing.any():
            break
        if writing.mean() < KEEP_SHARE and not engine.fixed_shapes:
            rows = np.flatnonzero(writing)
            state, slots, chosen, writing = engine.keep_rows(state, rows), slots[rows], chosen[rows], writing[rows]
        state = engine.step(state, chosen)
    return [
        Decoded(ids[row, : lengths[row]].copy(), probabilities[row, : lengths[row]].copy(), bool(finished[row]))
        for row in range(texts)
    ]


def _likeliest(logits: NDArray[np.float32], forbidden: int | None) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Best token of each row and its probability; `forbidden` is the end token while a text is too short."""
    if forbidden is not None:
        logits = logits.copy()
        logits[:, forbidden] = -np.inf
    best = logits.argmax(axis=1)
    top = logits[np.arange(len(logits)), best]
    chance = 1.0 / np.exp(logits - top[:, None], dtype=np.float64).sum(axis=1)
    return best.astype(np.int64), chance.astype(np.float32)
