"""Texts that a model wrote before: what it will likely write again is offered to it many tokens at a time."""

import threading
from collections.abc import Callable, Sequence

LIKELY = 0.75  # of the texts that came this far, so many must go on in one way for it to be offered
FAMILIAR = 4  # texts that must have come this far before anything is offered
LARGEST = 50_000  # places; a book of texts that never come again stops growing


class Place:
    """A beginning that some texts share, but for the times and numbers in it."""

    __slots__ = ("came", "count", "following")

    def __init__(self) -> None:
        self.count = 0
        self.came: dict[int, int] = {}  # how often by which token
        self.following: dict[int, Place] = {}


class DraftBook:
    """The texts of each domain as a tree of kinds of tokens.

    Nothing in it changes what a model writes: an offered token stands only where it is the model's own choice, and
    an engine's numbers do not depend on how many tokens it is given at once. Several threads may use it.

    Parameters
    ----------
    kind
        Gives the kind of a token: texts that differ in tokens of one kind alone, such as two times, are expected to go
        on alike. None where each token is a kind of its own.
    """

    def __init__(self, kind: Callable[[int], int] | None = None) -> None:
        self._kind = kind or int
        self._roots: dict[int, Place] = {}
        self._size = 0
        self._lock = threading.Lock()

    def root(self, domain: int) -> Place:
        """Give the place before a domain's first token."""
        return self._roots.setdefault(domain, Place())

    def knows(self, domain: int) -> bool:
        """Whether anything of a domain may be offered."""
        return self.root(domain).count >= FAMILIAR

    def after(self, place: Place | None, tokens: Sequence[int]) -> Place | None:
        """Give the place that some tokens lead to; None where no text came there."""
        for token in tokens:
            if place is None:
                return None
            place = place.following.get(self._kind(token))
        return place

    def add(self, domain: int, tokens: Sequence[int], times: int = 1) -> None:
        """Take in a text with its end token, that came so many times."""
        with self._lock:
            self._add(self.root(domain), tokens, times)

    def _add(self, place: Place, tokens: Sequence[int], times: int) -> None:
        place.count += times
        for token in tokens:
            kind = self._kind(token)
            found = place.following.get(kind)
            if found is None:
                if self._size >= LARGEST:
                    return
                found = place.following[kind] = Place()
                self._size += 1
            place = found
            place.count += times
            place.came[token] = place.came.get(token, 0) + times

    def offer(self, place: Place | None, most: int, end: int) -> list[int]:
        """Give the tokens, at most so many, that likely come after a place; the end token is never offered."""
        with self._lock:
            return self._likely(place, most, end)

    @staticmethod
    def _likely(place: Place | None, most: int, end: int) -> list[int]:
        offered: list[int] = []
        while place is not None and len(offered) < most and place.count >= FAMILIAR and place.following:
            following = max(place.following.values(), key=lambda found: found.count)
            token, times = max(following.came.items(), key=lambda item: (item[1], -item[0]))
            if token == end or times < LIKELY * place.count:
                break
            offered.append(token)
            place = following
        return offered
