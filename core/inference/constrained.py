"""Captions held to the grammar of their domain: which tokens may come next."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.errors import UsageError
from core.inference.bundle import Bundle
from core.language.caption_grammar import TIME, keys_after, may_end, slot_sentences
from core.language.facts import TIME_TOKENS
from core.language.tokenizer import Tokenizer

_UNREACHED = 1 << 30


@dataclass
class _Node:
    """A beginning that some sentences share."""

    following: dict[int, _Node] = field(default_factory=dict)
    key: str = ""
    """What the sentence that ends here tells; empty where none ends."""
    rest: int = _UNREACHED
    """Fewest tokens from here to where the caption may end."""
    between: bool = False
    """Whether it lies between two sentences."""


@dataclass(frozen=True)
class Place:
    """Where a caption has come to."""

    told: frozenset[str]
    """What its whole sentences tell."""
    node: _Node
    """The beginning of the sentence that is being written."""
    since: int | None = None
    """Index of the time token that opened a span, until the one that closes it."""


class Grammar:
    """The captions that one domain may have, as tokens.

    Parameters
    ----------
    tokenizer
        One with slot and time tokens.
    domain
        Caption domain.
    """

    def __init__(self, tokenizer: Tokenizer, domain: str) -> None:
        self.domain = domain
        self.end = tokenizer.end_id
        self._tokenizer = tokenizer
        self._times = [tokenizer.ids(token)[0] for token in TIME_TOKENS]
        self._index = {token: index for index, token in enumerate(self._times)}
        self._time = tokenizer.ids(TIME)[0]
        self._roots: dict[frozenset[str], _Node] = {}
        self.start = Place(frozenset(), self._root(frozenset()))
        """Before the first token."""

    def allowed(self, place: Place, room: int) -> NDArray[np.intp]:
        """Give the ids that may follow; `room` tokens may still come, the end among them."""
        found = []
        if place.node.between and may_end(self.domain, place.told):
            found.append(self.end)
        for token, node in place.node.following.items():
            if node.rest + 2 <= room:
                found += self._times[place.since or 0 :] if token == self._time else [token]
        return np.array(found or [self.end], np.intp)

    def after(self, place: Place, token: int) -> Place:
        """Give where a caption is after an allowed token other than the end."""
        index = self._index.get(token)
        node = place.node.following[self._time if index is not None else token]
        since = place.since
        if index is not None:
            since = index if since is None else None
        if not node.key:
            return Place(place.told, node, since)
        told = place.told | {node.key}
        return Place(told, self._root(told))

    def _root(self, told: frozenset[str]) -> _Node:
        """Give the tree of the sentences that may come next."""
        if told not in self._roots:
            root = _Node(rest=0 if may_end(self.domain, told) else _UNREACHED, between=True)
            keys = keys_after(self.domain, told)
            for one in slot_sentences(self.domain):
                if one.key in keys:
                    self._add(root, self._tokenizer.ids(f" {one.text}" if told else one.text), one.key, told)
            self._roots[told] = root  # whole: another thread may look for it
        return self._roots[told]

    def _add(self, root: _Node, tokens: list[int], key: str, told: frozenset[str]) -> None:
        ends = may_end(self.domain, told | {key})
        after = 0 if ends else self._root(told | {key}).rest
        node = root
        for done, token in enumerate(tokens, 1):
            node.rest = min(node.rest, after + len(tokens) - done + 1)
            node = node.following.setdefault(token, _Node())
        node.key, node.rest = key, min(node.rest, after)


def grammars(bundle: Bundle, tokenizer: Tokenizer) -> tuple[Grammar, ...]:
    """Give the grammar of each of a model's domains, in their order.

    Raises
    ------
    UsageError
        A model that does not write in slots has a language of its own.
    """
    if not bundle.slots or tokenizer.kind != "bpe":
        raise UsageError(
            f"The captions of {bundle.name} follow no grammar that sleepcli knows.", "Leave --grammar out."
        )
    return tuple(Grammar(tokenizer, domain) for domain in bundle.domains)
