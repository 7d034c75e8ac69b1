"""`train --night`: stages and events read from the course of a whole night, as two small networks in one run folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from core.errors import UsageError
from core.files import content_hash, write_text
from core.inference.course_graphs import RESPIRATORY, detected_events
from core.inference.event_figures import NOTHING, EventFigures, event_figures
from core.language.event_course import COLUMNS_OF
from core.psg.scoring import Event
from training import night_events, scored_courses
from training.checkpoint import read_weights, write_weights
from training.course import CourseConfig, CourseNet, round_to_half
from training.kept_members import KeptMembers, forget_members
from training.night_events import EventCourse, EventOptions, event_network, train_events
from training.night_stages import (
    StageOptions,
    expect_shares,
    left_out,
    sharpen,
    stage_network,
    stage_scores,
    train_stages,
    weigh,
)
from training.partial_nights import anchored, of_kept_epochs
from training.ranges import check_numbers
from training.stage_figures import Material, fitting_sharpness, kept_row, leaving, stage_row, told_unseen
from training.studies import find_stores, open_study, split_subjects

Shown = tuple[NDArray[np.float64], Sequence[Event]]
"""What the event network told of a night, [seconds, 8], and its true events."""
META = "night.json"
STAGES_FILE, EVENTS_FILE = "night_stages.safetensors", "night_events.safetensors"
GRID = tuple(round(0.2 + 0.05 * step, 2) for step in range(13))
"""Thresholds that are tried on the held-out studies."""
LEAST_EVENTS, LEAST_F1 = 20, 0.5
"""Events of a type in the held-out studies, and F1, under which the type is left out: it was not learned."""
HOME = ("EEG", "EOG", "EMG_CHIN", "ABD")
"""Groups that a test at home lacks; breathing is judged with and without them, and one threshold serves both."""

LEAST = {
    **{f"stages.{name}": 1 for name in ("batch", "lengths", "members", "folds")},
    **{f"events.{name}": 1 for name in ("steps", "batch", "length", "width", "members")},
}
"""What numbers of the options may be at least, where that is not 0."""


@dataclass(frozen=True)
class NightOptions:
    """Wishes of a caller."""

    stores: tuple[Path, ...]
    """Prepared studies, or folders of them."""
    out: Path
    """Run folder; networks that a killed run has finished there are not trained again."""
    tracks: Path | None = None
    """Folder of band-power tracks (`SS__N.npz`), which teach stages too."""
    partial: Path | None = None
    """Folder of nights of which only some epochs' EEG was kept (`.npz`), which teach stages within other nights."""
    leave_out: tuple[str, ...] = ()
    """Partial nights that are kept for a test, by name."""
    held_out: float = 0.15
    """Share of the studies' subjects on which figures are taken and thresholds chosen."""
    store_share: float = 0.5
    """How often a study is drawn against a track, both by the night."""
    subject_separator: str = ""
    """A study's subject is its name up to this; empty: the name."""
    stages: StageOptions = field(default_factory=StageOptions)
    events: EventOptions = field(default_factory=EventOptions)

    def __post_init__(self) -> None:
        check_numbers(self, LEAST)
        if self.held_out >= 1:
            raise UsageError(f"held_out is a share, from 0 to below 1, not {self.held_out}.")
        if not self.stages.lengths:
            raise UsageError("A run with no stages.lengths cannot be.", "Give epochs of a stretch, such as [60, 200].")


@dataclass(frozen=True)
class NightEvent:
    """How far a run is."""

    part: str
    """`stages`, `events` or `done`."""
    progress: float
    """Of the part, 0 to 1."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """Figures of a part that is finished; empty before."""
    loss: float | None = None
    """Of the last step."""


def train_night(options: NightOptions) -> Iterator[NightEvent]:
    """Train the night model.

    Yields
    ------
    NightEvent
        Progress, and the figures of each part when it is done.

    Raises
    ------
    UsageError
        Nothing to learn from.
    """
    studies = [open_study(path, separator=options.subject_separator) for path in find_stores(options.stores)]
    if not studies:
        raise UsageError("There is no prepared study to learn from.", "Make some with `sleepcli prepare`.")
    held = set(split_subjects([study.subject for study in studies], options.held_out, options.stages.seed).validation)
    files = _arrays(options.tracks)
    kept = [path for path in _arrays(options.partial) if path.stem not in options.leave_out]
    tracks = [scored_courses.of_track(path) for path in files]
    share = options.store_share if tracks else 1.0
    courses = [scored_courses.of_study(study.prepared, study.subject, study.stages, share) for study in studies]
    meta: dict[str, Any] = {
        "data": {study.prepared.study: study.prepared.source_hash for study in studies},
        "tracks": {path.name: content_hash(path) for path in files},
        "partial": {path.name: content_hash(path) for path in kept},
        "held_out": sorted(map(_hidden, held)),
        "figures": {},
    }
    options.out.mkdir(parents=True, exist_ok=True)
    material = Material(
        [*tracks, *(course for course in courses if course.subject not in held)],
        [night for night in map(of_kept_epochs, kept) if anchored(night)],
        [course for course in courses if course.subject in held],
    )
    yield from _stages(material, options, meta)
    nights = [night_events.of_study(study.prepared, study.subject) for study in studies if _has_events(study.prepared)]
    if any(night.subject not in held for night in nights):
        truth = {study.prepared.study: study.prepared.scoring.events for study in studies if study.prepared.scoring}
        yield from _events(nights, held, truth, options, meta)
    write_text(options.out / META, json.dumps(meta, indent=1) + "\n")
    forget_members(options.out)
    yield NightEvent("done", 1.0, meta["figures"])


def _sources(meta: Mapping[str, Any]) -> dict[str, Any]:
    """What a run learns from, by hash."""
    return {name: meta[name] for name in ("data", "tracks", "partial", "held_out")}


def _arrays(folder: Path | None) -> list[Path]:
    found = sorted(folder.glob("*.npz")) if folder else []
    if folder and not found:
        raise UsageError(f"{folder} holds no nights to learn from.", "Give a folder of .npz files.")
    return found


def load_part(run: Path, part: str) -> tuple[CourseNet, dict[str, Any]] | None:
    """Read one network of a run, `stages` or `events`, and what night.json says of it; None where it was not trained.

    Raises
    ------
    UsageError
        `run` is no night run.
    """
    try:
        meta = json.loads((run / META).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{run} has no readable {META}.", "Give a folder that `train --night` wrote.") from error
    if part not in meta:
        return None
    net = CourseNet(CourseConfig.from_json(meta[part]["config"]))
    net.load_state_dict(read_weights(run / {"stages": STAGES_FILE, "events": EVENTS_FILE}[part]))
    return net.eval(), meta


def members_without(meta: Mapping[str, Any], subject: str) -> list[int]:
    """Tell which members of a run's stage network left a subject out; none where the run did not know the subject."""
    return [int(member) for member in meta["stages"]["left_out"].get(_hidden(subject), ())]


def _hidden(subject: str) -> str:
    """A subject's name as a run tells it: a part of its hash."""
    return hashlib.sha256(subject.encode()).hexdigest()[:12]


def _has_events(prepared: Any) -> bool:
    return prepared.scoring is not None and bool(prepared.scoring.events)


def _stages(material: Material, options: NightOptions, meta: dict[str, Any]) -> Iterator[NightEvent]:
    wishes, learned = options.stages, material.learned
    net = stage_network(wishes)
    done = KeptMembers(
        options.out, "stages", {**_sources(meta), "options": asdict(wishes), "share": options.store_share}
    )
    for share in train_stages(net, learned, wishes, material.partial, done):
        yield NightEvent("stages", share)
    weigh(net, wishes)
    without = left_out([*learned, *material.partial], wishes)
    judged = 1 < wishes.folds <= min(len(without), wishes.members)
    factor = fitting_sharpness(told_unseen(net, learned, wishes, without)) if judged else 1.0
    sharpen(net, factor)
    if wishes.shares:
        expect_shares(net, learned, wishes, material.partial)
    round_to_half(net)
    write_weights(options.out / STAGES_FILE, net.state_dict())
    figures: dict[str, Any] = {}
    if judged:
        told = told_unseen(net, learned, wishes, without)
        figures["cross-validated"] = {name: stage_row(rows) for name, rows in told.items()}
        if material.partial:
            figures["kept epochs of partial nights, cross-validated"] = kept_row(net, material, wishes, without)
    if material.held:
        rows = [(course, stage_scores(net, course, range(len(course.eegs)), True)) for course in material.held]
        figures["held-out studies"] = stage_row(rows)
    about = {
        "nights": len(learned),
        "partial_nights": len(material.partial),
        "left_out": {_hidden(subject): leaving(fold, wishes) for subject, fold in without.items()},
        "shares": list(wishes.shares),
        "sharpness": round(factor, 4),
    }
    meta["stages"] = {"config": net.config.to_json(), **about}
    meta["figures"]["stages"] = figures
    yield NightEvent("stages", 1.0, figures)


def _events(
    nights: Sequence[EventCourse],
    held: set[str],
    truth: Mapping[str, Sequence[Event]],
    options: NightOptions,
    meta: dict[str, Any],
) -> Iterator[NightEvent]:
    learned = [night for night in nights if night.subject not in held]
    net = event_network(options.events)
    done = KeptMembers(options.out, "events", {**_sources(meta), "options": asdict(options.events)})
    for share, loss in train_events(net, learned, options.events, done):
        yield NightEvent("events", share, loss=loss)
    round_to_half(net)
    write_weights(options.out / EVENTS_FILE, net.state_dict())
    judged = [night for night in nights if night.subject in held]
    shown = [(second_probabilities(net, night), truth[night.name]) for night in judged]
    at_home = [(second_probabilities(net, night, HOME), truth[night.name]) for night in judged]
    thresholds, figures = choose_thresholds(shown, at_home)
    meta["events"] = {"config": net.config.to_json(), "nights": len(learned), "thresholds": thresholds}
    meta["figures"]["events"] = figures
    yield NightEvent("events", 1.0, figures)


def second_probabilities(net: CourseNet, night: EventCourse, hidden: Sequence[str] = ()) -> NDArray[np.float64]:
    """Read a night without some groups of channels, [seconds, 8] in the order of `core.psg.scoring.EVENT_TYPES`."""
    course = night.course.astype(np.float32)
    for group in hidden:
        course[:, COLUMNS_OF[group]] = 0
    with torch.no_grad():
        return np.asarray(torch.sigmoid(net(torch.from_numpy(course)[None])[0]).numpy(), np.float64)


def choose_thresholds(shown: Sequence[Shown], at_home: Sequence[Shown] = ()) -> tuple[dict[str, float], dict[str, Any]]:
    """Choose for each kind of event the threshold with the best F1 at an overlap of 0.3.

    Parameters
    ----------
    shown
        Probabilities [seconds, 8] and true events of nights that were not learned from.
    at_home
        The same nights read without what a test at home lacks; breathing has to be told in both.

    Returns
    -------
    tuple
        Thresholds by type (`breathing` for the four of breathing), and the figures at them.
    """
    kinds = {"breathing": RESPIRATORY} | {kind: (kind,) for kind in ("arousal", "rera", "limb_movement")}
    thresholds: dict[str, float] = {}
    figures: dict[str, Any] = {}
    for name, types in kinds.items():
        nights = [*shown, *(at_home if name == "breathing" else ())]
        tried = {at: _pooled(nights, name, types, at) for at in GRID}
        best = max(tried, key=lambda at: (np.nan_to_num(tried[at].f1), -at))
        if tried[best].true < LEAST_EVENTS or tried[best].f1 < LEAST_F1:
            continue
        thresholds[name] = best
        figures[name] = _row(_pooled(shown, name, types, best))
        if name == "breathing" and at_home:
            figures["breathing, at home"] = _row(_pooled(at_home, name, types, best))
    return thresholds, figures


def _pooled(nights: Sequence[Shown], name: str, types: tuple[str, ...], at: float) -> EventFigures:
    total = NOTHING
    for probabilities, true in nights:
        found = [event for event in detected_events(probabilities, {name: at}) if event.type in types]
        total += event_figures([event for event in true if event.type in types], found)
    return total


def _row(figures: EventFigures) -> dict[str, Any]:
    return {
        "f1": round(figures.f1, 4),
        "precision": round(figures.precision, 4),
        "recall": round(figures.recall, 4),
        "true": figures.true,
        "onset_error": round(float(np.median(np.abs(figures.onset_errors))), 2) if figures.hits else None,
    }
