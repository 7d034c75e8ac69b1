"""Training the night model's events: which of them goes on in each second, from courses that many labs would record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from torch import Tensor

from core.language.event_course import COLUMNS_OF, N_COURSE, event_course
from core.psg.preprocess import EPOCH_SECONDS, traces_of
from core.psg.scoring import EVENT_TYPES
from core.psg.store import PreparedStudy
from training.course import CourseConfig, CourseNet, Training, train_member
from training.kept_members import KeptMembers

UNKNOWN = -1.0
"""Target of a second of which nothing is known; the loss passes over it."""
SEEN_WITH = {
    "obstructive_apnea": ("AF", "THX", "ABD"),
    "central_apnea": ("AF", "THX", "ABD"),
    "mixed_apnea": ("AF", "THX", "ABD"),
    "hypopnea": ("AF", "THX", "ABD"),
    "rera": ("AF",),
    "desaturation": ("SPO2",),
    "arousal": ("EEG",),
    "limb_movement": ("EMG_CHIN", "EEG"),
}
"""Groups of which one at least has to be shown for an event to be a target."""
MONTAGES = (
    (0.40, ()),
    (0.15, ("EEG", "EOG", "EMG_CHIN", "ABD")),
    (0.10, ("EEG", "EOG", "EMG_CHIN")),
    (0.05, ("EEG", "EOG", "EMG_CHIN", "THX")),
    (0.10, ("SPO2",)),
    (0.05, ("THX", "ABD")),
    (0.05, ("EMG_CHIN", "EOG")),
    (0.10, ("AF", "THX", "ABD", "SPO2")),
)
"""Share of the stretches, and the groups that they hide: home tests, one belt, sleep channels alone."""


@dataclass(frozen=True)
class EventCourse:
    """A scored night as the event network reads it."""

    name: str
    subject: str
    course: NDArray[np.float16]
    """[seconds, N_COURSE], kept in half the space."""
    targets: NDArray[np.bool_]
    """[seconds, 8] whether an event of each of `EVENT_TYPES` goes on."""


@dataclass(frozen=True)
class EventOptions:
    """Wishes of a caller."""

    steps: int = 1500
    """Of each member."""
    batch: int = 16
    """Stretches in a step."""
    length: int = 600
    """Seconds of a stretch."""
    width: int = 48
    members: int = 2
    seed: int = 0


def event_targets(study: PreparedStudy) -> NDArray[np.bool_]:
    """Mark the seconds of which an event fills half or more, [seconds, 8]; all False without a scoring."""
    targets = np.zeros((study.n_epochs * EPOCH_SECONDS, len(EVENT_TYPES)), np.bool_)
    for event in study.scoring.events if study.scoring is not None else ():
        first, last = round(event.onset), max(round(event.onset + event.duration), round(event.onset) + 1)
        targets[max(first, 0) : max(last, 0), EVENT_TYPES.index(event.type)] = True
    return targets


def of_study(study: PreparedStudy, subject: str) -> EventCourse:
    """Measure one prepared study."""
    course = event_course(traces_of(study), study.states, study.n_epochs)
    return EventCourse(study.study, subject, course.astype(np.float16), event_targets(study))


class EventSampler:
    """Draws stretches with some groups of channels hidden, waves upside down, louder, softer and noisier."""

    def __init__(self, courses: Sequence[EventCourse], options: EventOptions, seed: int) -> None:
        self._courses, self._options = courses, options
        self._rng = np.random.default_rng(seed)

    def __call__(self) -> tuple[Tensor, Tensor]:
        """Draw a batch: features [B, T, F] and targets [B, T, 8]."""
        drawn = [self._stretch() for _ in range(self._options.batch)]
        return torch.from_numpy(np.stack([f for f, _ in drawn])), torch.from_numpy(np.stack([t for _, t in drawn]))

    def _stretch(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rng, length = self._rng, self._options.length
        night = self._courses[int(rng.integers(len(self._courses)))]
        first = int(rng.integers(0, max(1, len(night.course) - length + 1)))
        part = slice(first, first + length)
        features = night.course[part].astype(np.float32)
        targets = night.targets[part].astype(np.float32)
        if rng.random() < 0.5:  # reversed time is no physiology, but a mirrored wave is a sensor the other way round
            for group in ("AF", "THX", "ABD"):
                if rng.random() < 0.5:
                    features[:, COLUMNS_OF[group].start : COLUMNS_OF[group].start + 4] *= -1
        shares = np.array([share for share, _ in MONTAGES])
        hidden = MONTAGES[int(rng.choice(len(MONTAGES), p=shares / shares.sum()))][1]
        for group, columns in COLUMNS_OF.items():
            if group in hidden:
                features[:, columns] = 0
                continue
            shown = features[:, columns.stop - 1 : columns.stop]
            noise = rng.normal(0, rng.uniform(0, 0.15), features[:, columns].shape).astype(np.float32)
            gain = np.float32(np.exp(rng.normal(0, 0.1)))
            features[:, columns.start : columns.stop - 1] *= gain
            features[:, columns.start : columns.stop - 1] += noise[:, :-1] * shown
        for column, kind in enumerate(EVENT_TYPES):
            visible = np.zeros(len(features), np.bool_)
            for group in SEEN_WITH[kind]:
                visible |= features[:, COLUMNS_OF[group].stop - 1] > 0
            targets[~visible, column] = UNKNOWN
        if len(features) < length:
            lack = length - len(features)
            features = np.pad(features, ((0, lack), (0, 0)))
            targets = np.pad(targets, ((0, lack), (0, 0)), constant_values=UNKNOWN)
        return features, targets


def event_loss(scores: Tensor, targets: Tensor) -> Tensor:
    """Mean binary cross-entropy over the seconds and types that are known."""
    known = (targets >= 0).float()
    losses = functional.binary_cross_entropy_with_logits(scores, targets.clamp(min=0), reduction="none")
    return (losses * known).sum() / known.sum().clamp(min=1)


def event_network(options: EventOptions) -> CourseNet:
    """Make an untrained event network."""
    torch.manual_seed(options.seed)
    dilations = (1, 2, 4, 8, 16, 32, 64, 1, 2, 4)
    return CourseNet(
        CourseConfig(N_COURSE, len(EVENT_TYPES), options.width, dilations, options.members, dropout=0.1)
    ).eval()


def train_events(
    net: CourseNet, courses: Sequence[EventCourse], options: EventOptions, kept: KeptMembers | None = None
) -> Iterator[tuple[float, float]]:
    """Train the event network, one member after the other; `kept` are those that are finished already.

    Yields
    ------
    tuple
        The share of the whole that is done, and the loss, after each step.
    """
    for index, member in enumerate(net.networks()):
        if kept and kept.take(index, member):
            continue
        torch.manual_seed(options.seed * 1000 + index)  # of dropout, whichever members were trained before
        sampler = EventSampler(courses, options, seed=options.seed * 1000 + index)
        steps = train_member(member, sampler, event_loss, Training(options.steps))
        for step, loss in enumerate(steps, start=1):
            yield (index + step / options.steps) / options.members, loss
        if kept:
            kept.keep(index, member)
