"""The channels that a training epoch shows: whole montages and poor ones, with facts that fit what is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.language.facts import EpochFacts
from core.language.measure import MEASUREMENTS
from core.psg.channels import CHANNELS

EEG = ("EEG_C3", "EEG_C4")
EOG = ("EOG_L", "EOG_R")
BREATHING = ("AF", "THX", "ABD")
LEGS = ("LEG_L", "LEG_R")
SEEN_IN: Mapping[str, tuple[str, ...]] = {
    "obstructive_apnea": BREATHING,
    "central_apnea": BREATHING,
    "mixed_apnea": BREATHING,
    "hypopnea": BREATHING,
    "rera": BREATHING,
    "desaturation": ("SPO2",),
    "arousal": EEG,
    "limb_movement": LEGS,
}
"""The channels of which one at least must be there for an event to be captioned."""
TREND_CHANNEL = {"heart_rate": "ECG", "spo2": "SPO2"}
"""The channel that each trend is measured on."""
DROPPED = "missing"
"""The state, as a caption names it, of a channel that the montage leaves out."""

_ALL = tuple(channel.name for channel in CHANNELS)


@dataclass(frozen=True)
class Montage:
    """A choice of channels; of each group the sampler keeps the named number, at random."""

    name: str
    share: float
    """Share of the training epochs that show it."""
    groups: tuple[tuple[tuple[str, ...], int], ...]
    """Channels, and how many of them stay."""

    def channels(self, rng: np.random.Generator) -> frozenset[str]:
        """Draw the channels that are shown."""
        chosen: list[str] = []
        for names, count in self.groups:
            if count >= len(names):
                chosen.extend(names)
            else:
                chosen.extend(names[i] for i in rng.permutation(len(names))[:count])
        return frozenset(chosen)


MONTAGES = (
    Montage("whole", 0.55, ((_ALL, len(_ALL)),)),
    Montage("sleep", 0.10, ((EEG, 2), (EOG, 2), (("EMG_CHIN",), 1))),
    Montage("one EEG", 0.12, ((EEG, 1),)),
    Montage("one EEG, one EOG, chin", 0.06, ((EEG, 1), (EOG, 1), (("EMG_CHIN",), 1))),
    Montage("without EEG", 0.05, ((tuple(n for n in _ALL if n not in (*EEG, *EOG, "EMG_CHIN")), 99),)),
    Montage("eight of eleven", 0.12, ((_ALL, 8),)),
)
"""What channel dropout draws from; the shares sum to one."""
WHOLE = frozenset(_ALL)


def draw(rng: np.random.Generator, dropout: float) -> frozenset[str]:
    """Draw the channels of one epoch.

    Parameters
    ----------
    rng
        The epoch's generator.
    dropout
        0: always the whole montage; 1: by the shares of `MONTAGES`.
    """
    if rng.random() >= dropout:
        return WHOLE
    shares = np.array([montage.share for montage in MONTAGES])
    return MONTAGES[int(rng.choice(len(MONTAGES), p=shares / shares.sum()))].channels(rng)


FURTHER_KEPT = 0.5
"""Chance that a channel beside the eleven stays where an epoch does not show the whole montage."""


def further(rng: np.random.Generator, channels: Sequence[str], shown: frozenset[str]) -> frozenset[str]:
    """Draw which of a network's channels beside the eleven an epoch shows: all in a whole montage."""
    beside = [name for name in channels if name not in WHOLE]
    if shown == WHOLE or not beside:
        return frozenset(beside)
    return frozenset(name for name in beside if rng.random() < FURTHER_KEPT)


def visible_events(unusable: Mapping[str, str], beside: frozenset[str] = frozenset()) -> frozenset[str]:
    """List the event types that some usable channel can show, of the eleven or of those `beside` them."""
    there = {name for name in _ALL if name not in unusable} | beside
    return frozenset(kind for kind, names in SEEN_IN.items() if there.intersection(names))


def restrict(facts: EpochFacts, shown: frozenset[str], beside: frozenset[str] = frozenset()) -> EpochFacts:
    """Leave in the facts what the shown channels can tell; the others are said to be missing.

    Parameters
    ----------
    facts
        Facts of the epoch with all the study's channels.
    shown
        Channels that the montage keeps; those that the study itself lacks stay unusable.
    beside
        Channels beside the eleven that are shown and usable.

    Returns
    -------
    EpochFacts
        No stage without EEG or EOG, no event without a channel that shows it, none
        denied without a breathing channel, no value that was measured
        on a channel that is left out.
    """
    unusable = dict(facts.unusable)
    for name in _ALL:
        if name not in shown:
            unusable.setdefault(name, DROPPED)
    there = {name for name in _ALL if name not in unusable}
    seen = visible_events(unusable, beside)
    return replace(
        facts,
        stage=facts.stage if there.intersection((*EEG, *EOG)) else None,
        values={n: v for n, v in facts.values.items() if there.issuperset(MEASUREMENTS[n].channels)},
        trends=tuple(t for t in facts.trends if TREND_CHANNEL.get(t.quantity) in there),
        events=tuple(event for event in facts.events if event.type in seen),
        unusable=unusable,
        events_scored=facts.events_scored and bool(there.intersection(BREATHING)),
    )
