"""Events compared with events: found, missed and made up, by their overlap."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.psg.preprocess import EPOCH_SECONDS
from core.psg.scoring import EVENT_TYPES, Event


@dataclass(frozen=True)
class EventFigures:
    """How found events agree with true ones."""

    true: int
    """Events that were there."""
    found: int
    """Events that were given."""
    hits: int
    """Pairs of one and one that overlap enough."""
    onset_errors: tuple[float, ...] = ()
    """Seconds, found minus true, of each pair."""

    @property
    def precision(self) -> float:
        """Share of the found ones that are true; NaN where none was found."""
        return self.hits / self.found if self.found else float("nan")

    @property
    def recall(self) -> float:
        """Share of the true ones that were found; NaN where there was none."""
        return self.hits / self.true if self.true else float("nan")

    @property
    def f1(self) -> float:
        """Harmonic mean of both; NaN where nothing was there and nothing found."""
        total = self.true + self.found
        return 2 * self.hits / total if total else float("nan")

    def __add__(self, other: "EventFigures") -> "EventFigures":
        """Pool two studies."""
        return EventFigures(
            self.true + other.true,
            self.found + other.found,
            self.hits + other.hits,
            self.onset_errors + other.onset_errors,
        )


NOTHING = EventFigures(0, 0, 0)


def event_figures(true: Sequence[Event], found: Sequence[Event], least_overlap: float = 0.3) -> EventFigures:
    """Pair events one to one, the best overlaps first.

    Parameters
    ----------
    true, found
        Events whose types are one for the purpose; the types are not compared.
    least_overlap
        Intersection over union that makes a pair.
    """
    starts = np.array([event.onset for event in true])
    order = np.argsort(starts, kind="stable")
    longest = max((event.duration for event in true), default=0.0)
    pairs: list[tuple[float, int, int]] = []
    for index, event in enumerate(found):
        end = event.onset + event.duration
        first = int(np.searchsorted(starts[order], event.onset - longest))
        last = int(np.searchsorted(starts[order], end))
        for place in order[first:last]:
            overlap = _overlap(event, true[place])
            if overlap >= least_overlap:
                pairs.append((overlap, index, int(place)))
    taken_found: set[int] = set()
    taken_true: set[int] = set()
    errors: list[float] = []
    for _, index, place in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if index in taken_found or place in taken_true:
            continue
        taken_found.add(index)
        taken_true.add(place)
        errors.append(found[index].onset - true[place].onset)
    return EventFigures(len(true), len(found), len(errors), tuple(errors))


def event_flags(events: Sequence[Event], n_epochs: int) -> NDArray[np.bool_]:
    """Tell which epochs events overlap, [n_epochs, 8] in the order of `EVENT_TYPES`."""
    flags = np.zeros((n_epochs, len(EVENT_TYPES)), np.bool_)
    for event in events:
        first = max(int(event.onset // EPOCH_SECONDS), 0)
        last = int((event.onset + max(event.duration, 0.1) - 1e-6) // EPOCH_SECONDS)
        flags[first : last + 1, EVENT_TYPES.index(event.type)] = True
    return flags


def _overlap(first: Event, second: Event) -> float:
    shared = min(first.onset + first.duration, second.onset + second.duration) - max(first.onset, second.onset)
    if shared <= 0:
        return 0.0
    return shared / (first.duration + second.duration - shared)
