"""Training the night model's stages: scored courses of band powers, drawn as many labs would record them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from torch import Tensor, nn

from core.inference.own_night import by_own_night, cluster_views
from core.inference.softmax import log_softmax
from core.language.band_course import BANDS, N_FEATURES, night_features
from core.psg.scoring import STAGES
from training.course import CourseConfig, CourseNet, Training, train_member
from training.kept_members import KeptMembers
from training.partial_nights import anchored, completed
from training.scored_courses import UNSCORED, ScoredCourse

HALF_HOUR = 60
"""Epochs: the shortest stretch that is drawn."""
LEAST_ASLEEP = 10
"""Epochs of sleep that a night must have to be cut to."""
MOST_AWAKE = 80
"""Epochs of wake that a lab's recording may have before sleep and after it."""
COUNTED = 200
"""Batches by which it is told how often each stage was shown to a member."""
FLOOR_DECADES = (-1.3, 0.5)
"""Log10 of a recorder's white noise over the quietest beta of a night; in UCDDB deep sleep has some 2.5 times the beta
of the tracks, in proportion to its delta."""


@dataclass(frozen=True)
class StageOptions:
    """Wishes of a caller."""

    passes: float = 40.0
    """Times that the epochs are gone over by each member."""
    batch: int = 32
    """Stretches in a step."""
    lengths: tuple[int, ...] = (HALF_HOUR, 120, 200, 200)
    """Epochs of a stretch, one length drawn a step."""
    smoothing: float = 0.05
    """Of the labels: human scorers agree with each other on about four epochs in five."""
    splice: float = 0.3
    """Share of the stretches made of pieces of a night in any order: broken sleep, told by its spectrum."""
    trimmed: float = 0.7
    """Share of the stretches from nights cut to at most 40 minutes of wake on either side, as labs record them."""
    noise: float = 0.7
    """Share of the stretches under a recorder's white noise, which fills the valleys of the faster bands."""
    partial: float = 0.2
    """Share of the stretches from partial nights, completed by whole ones; 0 where there are none."""
    members: int = 10
    """Networks."""
    plain: int = 5
    """Members that learn from whole nights as they stand, without `trimmed`, `noise` and `partial`: they know best what
    those nights show, the others what other labs show; their mean is better than either on both."""
    plain_weight: float = 0.3
    """Of the plain members in the mean of all. Cross-validated on the tracks 0.3 and 0.5 do equally well; under noise,
    in half-hours, and where the sleep is as broken as patients' is, 0.3 does better."""
    folds: int = 5
    """Parts of the subjects; each member leaves one out, and is judged on it together with those that left it too."""
    shares: tuple[float, ...] = ()
    """Shares of the stages, in the order of `STAGES`, among those whose sleep will be read; empty: as in the material.
    Patients lie in N1 more often, and in wake less, than the healthy sleepers of long recordings."""
    seed: int = 0


class StageSampler:
    """Draws stretches of nights, each normalised by itself as a whole recording would be.

    A stretch is a part of a night (so that half an hour stands as well as a night), with as much wake around it as a
    lab records, of a mixture of its EEGs (so that no derivation is learned by heart) under a recorder's noise, with or
    without the EOG, each band a little louder or softer than it was (as other filters and electrodes make it), some
    epochs lost. Some stretches are of partial nights that whole ones complete.
    """

    def __init__(
        self,
        courses: Sequence[ScoredCourse],
        options: StageOptions,
        seed: int,
        partial: Sequence[ScoredCourse] = (),
    ) -> None:
        self._courses, self._options = courses, options
        self._partial = [night for night in partial if anchored(night)]
        self._rng = np.random.default_rng(seed)
        shares = np.array([course.share for course in courses])
        self._shares = shares / shares.sum()

    def __call__(self) -> tuple[Tensor, Tensor]:
        """Draw a batch: features [B, T, F] and stages [B, T]."""
        rng, count = self._rng, self._options.batch
        length = int(rng.choice(self._options.lengths))
        features = np.zeros((count, length, N_FEATURES), np.float32)
        stages = np.full((count, length), UNSCORED, np.int64)
        for row in range(count):
            course = self._courses[int(rng.choice(len(self._courses), p=self._shares))]
            shown, scored = self._stretch(course, length)
            features[row, : len(shown)], stages[row, : len(scored)] = shown, scored
        return torch.from_numpy(features), torch.from_numpy(stages)

    def _stretch(self, course: ScoredCourse, length: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        rng, options = self._rng, self._options
        if rng.random() < options.trimmed:
            course = _trimmed(course, rng)
        if self._partial and rng.random() < options.partial and anchored(course):
            course = completed(self._partial[int(rng.integers(len(self._partial)))], course, rng)
        whole = len(course.stages)
        part = slice(0, whole)
        if whole > length and rng.random() < 0.7:  # the recording is shorter than the night
            size = int(np.exp(rng.uniform(np.log(length), np.log(whole))))
            first = int(rng.integers(0, whole - size + 1))
            part = slice(first, first + size)
        order = np.arange(part.start, part.stop)
        if rng.random() < options.splice:
            order = order[_spliced(len(order), rng)]
        eeg = _mixture(course.eegs[:, order], rng)
        if rng.random() < options.noise:
            eeg = _under_noise(eeg, rng)
        eeg += rng.normal(0, 0.15, len(BANDS)).astype(np.float32)
        eog = course.eog[order] if rng.random() < 0.5 else np.full_like(eeg, np.nan)
        if rng.random() < 0.5:
            lost = rng.random(len(eeg)) < rng.uniform(0, 0.12)
            eeg, eog = eeg.copy(), eog.copy()
            eeg[lost], eog[lost] = np.nan, np.nan
        features = night_features(eeg, eog)
        seen = features[:, -2:-1]
        features[:, : 3 * len(BANDS)] += seen * rng.normal(0, 0.1, 3 * len(BANDS)).astype(np.float32)
        first = int(rng.integers(0, max(1, len(features) - length + 1)))
        return features[first : first + length], course.stages[order][first : first + length]


def _trimmed(course: ScoredCourse, rng: np.random.Generator) -> ScoredCourse:
    """Cut a night to its sleep and some of the wake around it."""
    asleep = np.flatnonzero(course.stages > 0)
    if len(asleep) < LEAST_ASLEEP:
        return course
    before, after = rng.integers(0, MOST_AWAKE, 2)
    part = slice(max(0, int(asleep[0]) - int(before)), int(asleep[-1]) + 1 + int(after))
    return replace(course, eegs=course.eegs[:, part], eog=course.eog[part], stages=course.stages[part])


def _under_noise(eeg: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Add white noise to log band powers [N, 5]: a band gets power by its width."""
    seen = np.isfinite(eeg).all(axis=1)
    if not seen.any():
        return eeg
    widths = np.array([high - low for low, high in BANDS])
    quietest = np.percentile(eeg[seen, -1], 5)
    level = quietest + np.log(10) * rng.uniform(*FLOOR_DECADES) - np.log(widths[-1])
    noisy = eeg.copy()
    noisy[seen] = np.logaddexp(eeg[seen], level + np.log(widths))
    return noisy


def _spliced(count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Places of pieces of 8 to 80 epochs, drawn with replacement, as many in all as there are."""
    pieces: list[NDArray[np.intp]] = []
    while sum(map(len, pieces)) < count:
        size = min(int(rng.integers(8, 80)), count)
        first = int(rng.integers(0, count - size + 1))
        pieces.append(np.arange(first, first + size))
    return np.concatenate(pieces)[:count]


def _mixture(eegs: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """A derivation between two, by their log powers; where one is unseen, the other."""
    first, second = eegs[rng.integers(len(eegs))], eegs[rng.integers(len(eegs))]
    weight = np.float32(rng.random())
    mixed = weight * first + (1 - weight) * second
    either = np.where(np.isfinite(first), first, second)
    return np.asarray(np.where(np.isfinite(mixed), mixed, either), np.float32)


def stage_network(options: StageOptions) -> CourseNet:
    """Make an untrained stage network."""
    torch.manual_seed(options.seed)
    return CourseNet(CourseConfig(N_FEATURES, len(STAGES), members=options.members)).eval()


def left_out(courses: Sequence[ScoredCourse], options: StageOptions) -> dict[str, int]:
    """Tell of each subject in which fold it is: a subject's nights, real or followed, together."""
    subjects = sorted({course.subject for course in courses})
    order = np.random.default_rng(options.seed).permutation(len(subjects))
    return {subjects[place]: index % options.folds for index, place in enumerate(order)}


def train_stages(
    net: CourseNet,
    courses: Sequence[ScoredCourse],
    options: StageOptions,
    partial: Sequence[ScoredCourse] = (),
    kept: KeptMembers | None = None,
) -> Iterator[float]:
    """Train the stage network, one member after the other, each without the subjects that it leaves out.

    `partial` are nights of which only some epochs' EEG was kept, `kept` the members that are finished already.

    With one fold, or fewer subjects than folds, nobody is left out.

    Yields
    ------
    float
        The share of the whole that is done, after each step.
    """
    without = left_out([*courses, *partial], options)
    for index, member in enumerate(net.networks()):
        if kept and kept.take(index, member):
            yield (index + 1) / options.members
            continue
        sampler, epochs = _taught(index, courses, partial, options, without)
        steps = max(1, round(options.passes * epochs / (options.batch * float(np.mean(options.lengths)))))
        torch.manual_seed(options.seed * 1000 + index)  # of dropout, whichever members were trained before
        for step, _ in enumerate(train_member(member, sampler, _loss(options.smoothing), Training(steps)), start=1):
            yield (index + step / steps) / options.members
        if kept:
            kept.keep(index, member)


def _taught(
    index: int,
    courses: Sequence[ScoredCourse],
    partial: Sequence[ScoredCourse],
    options: StageOptions,
    without: Mapping[str, int],
) -> tuple[StageSampler, float]:
    """What teaches a member: a sampler of the subjects that it does not leave out, and the epochs of their nights."""
    fold = index % options.folds
    everyone = options.folds == 1 or len(without) < options.folds
    learned = [course for course in courses if everyone or without[course.subject] != fold]
    theirs = [night for night in partial if everyone or without[night.subject] != fold]
    how = replace(options, trimmed=0.0, noise=0.0, partial=0.0) if index < options.plain else options
    epochs = sum(len(course.stages) * course.share for course in learned)
    return StageSampler(learned, how, options.seed * 1000 + index, theirs), epochs


def expect_shares(
    net: CourseNet, courses: Sequence[ScoredCourse], options: StageOptions, partial: Sequence[ScoredCourse] = ()
) -> None:
    """Move weighed members from the shares of stages that each was shown to `options.shares`, by Bayes' rule.

    What a member was shown is not what the nights hold: long nights are drawn no oftener than short ones, their ends
    seldom, and some are cut, so that wake is a third of the tracks' epochs and less than a quarter of those shown.
    """
    without = left_out([*courses, *partial], options)
    wanted = np.asarray(options.shares) / np.sum(options.shares)
    for index, member in enumerate(net.networks()):
        sampler, _ = _taught(index, courses, partial, options, without)
        shown = np.ones(len(STAGES))
        for _ in range(COUNTED):
            stages = sampler()[1].numpy()
            shown += np.bincount(stages[stages >= 0], minlength=len(STAGES))
        with torch.no_grad():
            moved = _weight(index, options) * np.log(wanted / (shown / shown.sum()))
            member.output.bias += torch.from_numpy(moved.astype(np.float32))


def weigh(net: CourseNet, options: StageOptions) -> None:
    """Let trained members count for as much as `plain_weight` says, by their outputs: the network is their mean."""
    with torch.no_grad():
        for index, member in enumerate(net.networks()):
            member.output.weight *= _weight(index, options)
            member.output.bias *= _weight(index, options)


def _weight(index: int, options: StageOptions) -> float:
    """Of one member; their mean is 1."""
    plain, members = min(options.plain, options.members), options.members
    if plain in (0, members):
        return 1.0
    if index < plain:
        return options.plain_weight * members / plain
    return (1 - options.plain_weight) * members / (members - plain)


def sharpen(net: CourseNet, factor: float) -> None:
    """Multiply a trained network's scores: smoothed labels and the mean over members leave them too flat."""
    with torch.no_grad():
        for member in net.networks():
            member.output.weight *= factor
            member.output.bias *= factor


def _loss(smoothing: float) -> Callable[[Tensor, Tensor], Tensor]:
    def loss(scores: Tensor, stages: Tensor) -> Tensor:
        return functional.cross_entropy(
            scores.flatten(0, 1), stages.flatten(), ignore_index=UNSCORED, label_smoothing=smoothing
        )

    return loss


def stage_scores(net: nn.Module, course: ScoredCourse, eegs: Sequence[int], with_eog: bool) -> NDArray[np.float32]:
    """Score a night's stages from some of its EEGs.

    Returns
    -------
    ndarray
        [N, 5] log-probabilities: the mean over the EEGs, told once more by the night's own clusters.
    """
    eog = course.eog if with_eog else np.full_like(course.eog, np.nan)
    features = [night_features(course.eegs[index], eog) for index in eegs]
    with torch.no_grad():
        scores = functional.log_softmax(net(torch.from_numpy(np.stack(features))), dim=-1).mean(0)  # over the EEGs
    seen = np.isfinite(course.eegs[list(eegs)]).all(axis=2).any(axis=0)
    told = by_own_night(log_softmax(scores.numpy().astype(np.float64)), cluster_views(features), seen)
    return np.asarray(told, np.float32)
