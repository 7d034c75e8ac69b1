"""Beam search: several beginnings of each caption are kept, and the best whole one by its mean log probability.

Captions may be held to the grammar of their domain: what it does not allow to follow is not followed, and the
probabilities are the model's own, as if it had had the choice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.errors import UsageError
from core.inference.constrained import Grammar, Place
from core.inference.decoding import MIN_TOKENS, PAD_ID, Decoded, DecodeOptions, longest_text, parts
from core.inference.engine import Engine
from core.inference.softmax import log_softmax


@dataclass(frozen=True)
class BeamOptions(DecodeOptions):
    """Wishes of a caller."""

    grammars: tuple[Grammar, ...] | None = None
    """Of each domain, see `core.inference.constrained.grammars`; every text then ends as a whole caption. None to let
    the model write freely."""


@dataclass
class _Text:
    """What is known of one caption: its beams, and the whole texts that were found."""

    ids: list[list[int]] = field(default_factory=lambda: [[]])
    scores: list[list[float]] = field(default_factory=lambda: [[]])
    whole: list[tuple[float, list[int], list[float], bool]] = field(default_factory=list)
    grammar: Grammar | None = None
    places: list[Place] = field(default_factory=list)
    """Of each beam in the grammar."""

    def __post_init__(self) -> None:
        if self.grammar is not None:
            self.places = [self.grammar.start]

    def barred(self, chances: NDArray[np.float64], room: int) -> NDArray[np.float64]:
        """Give the log probabilities `[beams, V]` with what the grammar does not allow at minus infinity."""
        if self.grammar is None:
            return chances
        found = np.full_like(chances, -np.inf)
        for beam, place in enumerate(self.places):
            allowed = self.grammar.allowed(place, room)
            found[beam, allowed] = chances[beam, allowed]
        return found


def beam_search(
    engine: Engine,
    decoder_tokens: NDArray[np.float32],
    domains: Sequence[int] | NDArray[np.int64],
    beams: int,
    options: BeamOptions | None = None,
    epochs: Sequence[int] | NDArray[np.intp] | None = None,
) -> list[Decoded]:
    """Write one text a row, following the `beams` likeliest beginnings.

    A text is judged by the mean log probability of its tokens, the end among them; the search of a text ends with as
    many whole texts as beams, or at the longest length.

    Parameters
    ----------
    engine
        A bundle with a decoder, on the CPU.
    decoder_tokens
        [E, Q, W] signal tokens of epochs.
    domains
        [n] condition indexes.
    beams
        Beginnings that are followed; 1 is greedy decoding.
    options
        Lengths, texts at a time, and the grammars.
    epochs
        [n] the row of `decoder_tokens` that each text is about; None: one text an epoch, in their order.

    Returns
    -------
    list
        n texts, in the order of `domains`.
    """
    if beams < 1:
        raise UsageError(f"There cannot be {beams} beams.", "Give one or more.")
    if engine.fixed_shapes:
        raise UsageError("Beam search runs on the CPU.", "Use --device cpu.")
    options = options or BeamOptions(MIN_TOKENS[engine.bundle.kind])
    grammars = options.grammars
    longest = longest_text(engine, options.max_tokens)
    conditions = np.asarray(domains, np.int64)
    about = np.arange(len(conditions)) if epochs is None else np.asarray(epochs, np.intp)
    texts: list[Decoded | None] = [None] * len(conditions)

    def search(part: NDArray[np.intp]) -> list[Decoded]:
        begun = [_Text(grammar=grammars[domain] if grammars else None) for domain in conditions[part]]
        least = 1 if grammars else options.min_tokens
        return _search(engine, decoder_tokens[about[part]], conditions[part], begun, (beams, longest, least))

    divided = parts(conditions, max(1, (options.rows or engine.rows) // beams), apart=engine.small)
    for part, found in zip(divided, engine.together(search, divided), strict=True):
        for row, text in zip(part, found, strict=True):
            texts[row] = text
    return [text for text in texts if text is not None]


def _search(
    engine: Engine,
    tokens: NDArray[np.float32],
    domains: NDArray[np.int64],
    found: list[_Text],
    limits: tuple[int, int, int],
) -> list[Decoded]:
    """Search the texts of one batch; `limits` are beams, and the longest and least length with start and end."""
    beams, longest, least = limits
    state = engine.decoder.start(tokens, np.arange(len(domains)), domains, 30)
    owners = np.arange(len(domains))  # of each row of the batch
    given = np.full(len(domains), engine.tokenizer.start_id, np.int64)
    for position in range(longest - 1):
        bias = None
        if position + 1 < least:
            bias = np.zeros((1, engine.tokenizer.vocab_size), np.float32)
            bias[0, engine.tokenizer.end_id] = -np.inf
        scores = engine.decoder.step(state, given[:, None], np.full(len(given), position), bias, logits=True)
        assert scores.logits is not None  # they were asked for
        chances = log_softmax(scores.logits[:, 0].astype(np.float64))
        rows: list[int] = []
        for number in np.unique(owners):
            of_text = np.flatnonzero(owners == number)
            likely = found[number].barred(chances[of_text], longest - 1 - position)
            kept = _go_on(found[number], likely, beams, engine.tokenizer.end_id, position + 1 >= longest - 1)
            rows += [int(of_text[beam]) for beam in kept]
        if not rows:
            break
        kept_rows = np.array(rows, np.intp)
        state, owners = engine.decoder.keep_rows(state, kept_rows), owners[kept_rows]
        given = np.array([ids[-1] for number in np.unique(owners) for ids in found[number].ids], np.int64)
    return [_best(text) for text in found]


def _go_on(text: _Text, chances: NDArray[np.float64], beams: int, end: int, last: bool) -> list[int]:
    """Lengthen a text's beams by their best tokens; give the beam that each new one came from, none once it ends."""
    totals = np.array([sum(scores) for scores in text.scores])[:, None] + chances
    order = np.argsort(-totals, axis=None, kind="stable")[: 2 * beams]
    ids, scores, places = text.ids, text.scores, text.places
    origins: list[int] = []
    text.ids, text.scores, text.places = [], [], []
    for rank, place in enumerate(order):
        beam, token = divmod(int(place), chances.shape[1])
        if not np.isfinite(chances[beam, token]):
            break  # what comes after it is barred as well
        told = [*scores[beam], float(chances[beam, token])]
        ended = token in (end, PAD_ID)
        if ended or last:
            if rank >= beams:
                continue  # others are likelier, and go on
            text.whole.append((float(np.mean(told)), ids[beam], told[:-1], ended))
        elif len(origins) < beams:
            text.ids.append([*ids[beam], token])
            text.scores.append(told)
            if text.grammar is not None:
                text.places.append(text.grammar.after(places[beam], token))
            origins.append(beam)
        if len(text.whole) >= beams:
            break
    return [] if len(text.whole) >= beams or last else origins


def _best(text: _Text) -> Decoded:
    _, ids, scores, ended = max(text.whole, key=lambda whole: whole[0])
    return Decoded(np.array(ids, np.int64), np.exp(np.array(scores)).astype(np.float32), ended)
