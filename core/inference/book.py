"""Texts that a model wrote before: what it will likely write again is offered to it many tokens at a time."""

import threading
from collections.abc import Sequence

LIKELY = 0.75  # of the texts that came this far, so many must go on in one way for it to be offered
FAMILIAR = 4  # texts that must have come this far before anything is offered
LARGEST = 50_000  # places; a book of texts that never come again stops growing


class Place:
    """A beginning that some texts share."""

    __slots__ = ("count", "following")

    def __init__(self) -> None:
        self.count = 0
        self.following: dict[int, Place] = {}


class DraftBook:
    """The texts of each domain as a tree of tokens.

    Nothing in it changes what a model writes: an offered token stands only where it is the model's own choice, and
    an engine's numbers do not depend on how many tokens it is given at once. Several threads may use it.
    """

    def __init__(self) -> None:
        self._roots: dict[int, Place] = {}
        self._size = 0
        self._lock = threading.Lock()

    def root(self, domain: int) -> Place:
        """Give the place before a domain's first token."""
        return self._roots.setdefault(domain, Place())

    def add(self, domain: int, tokens: Sequence[int]) -> None:
        """Take in a text with its end token."""
        with self._lock:
            self._add(self.root(domain), tokens)

    def _add(self, place: Place, tokens: Sequence[int]) -> None:
        place.count += 1
        for token in tokens:
            found = place.following.get(token)
            if found is None:
                if self._size >= LARGEST:
                    return
                found = place.following[token] = Place()
                self._size += 1
            place = found
            place.count += 1

    def offer(self, place: Place | None, most: int, end: int) -> list[int]:
        """Give the tokens, at most so many, that likely come after a place; the end token is never offered."""
        with self._lock:
            return self._likely(place, most, end)

    @staticmethod
    def _likely(place: Place | None, most: int, end: int) -> list[int]:
        offered: list[int] = []
        while place is not None and len(offered) < most and place.count >= FAMILIAR and place.following:
            token, following = max(place.following.items(), key=lambda item: (item[1].count, -item[0]))
            if token == end or following.count < LIKELY * place.count:
                break
            offered.append(token)
            place = following
        return offered
