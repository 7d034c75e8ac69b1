"""Random facts for the caption tests."""

import itertools
import random
from collections.abc import Callable

import pytest

from core.language.facts import EpochFacts
from core.language.measurements import MEASUREMENTS
from core.language.missing import CHANNELS_OF_DOMAIN
from core.language.trends import Trend
from core.psg.scoring import EVENT_TYPES, STAGES, Event

COUNTS = ("spindle_count", "slow_wave_count")


def a_value(name: str, rng: random.Random) -> float:
    if name in COUNTS:
        return float(rng.choice((0, 1, 2, 7)))
    if name == "position":
        return float(rng.randrange(5))
    return rng.choice((0.0, rng.uniform(0, 2), rng.uniform(2, 180)))


def some_trends(rng: random.Random) -> tuple[Trend, ...]:
    found = []
    for quantity in ("heart_rate", "spo2"):
        cuts = sorted(rng.uniform(0, 30) for _ in range(rng.randrange(3)))
        edges = [0.0, *cuts, 30.0]
        if rng.random() < 0.8:
            found += [
                Trend(quantity, rng.choice(("increasing", "decreasing", "stable")), start, end)
                for start, end in itertools.pairwise(edges)
            ]
    return tuple(found)


def random_facts(seed: int) -> EpochFacts:
    rng = random.Random(seed)
    share = rng.choice((1.0, 0.8, 0.3, 0.0))
    values = {name: a_value(name, rng) for name in MEASUREMENTS if rng.random() < share}
    events = []
    for _ in range(rng.choice((0, 0, 1, 2, 5))):
        start = rng.uniform(0, 29)
        events.append(Event(rng.choice(EVENT_TYPES), start, rng.uniform(0.2, 30 - start)))
    channels = [channel for names in CHANNELS_OF_DOMAIN.values() for channel in names]
    states = ("missing", "flat", "clipped", "gap", "disconnected", "mains", "artefact")
    unusable = {name: rng.choice(states) for name in channels if rng.random() < rng.choice((0.0, 0.1, 0.9))}
    events.sort(key=lambda event: (event.onset, event.type))
    stage = rng.choice((*STAGES, None))
    return EpochFacts(stage, values, some_trends(rng), tuple(events), unusable, bool(events) or rng.random() < 0.9)


@pytest.fixture(scope="session")
def facts_of() -> Callable[[int], EpochFacts]:
    """Facts by seed: values, trends, events and unusable channels of every kind."""
    return random_facts
