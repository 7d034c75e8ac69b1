"""The night model's two graphs: stages from the course of band powers, events from what happens second by second."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from core.inference.engine import Engine
from core.inference.events import NEEDED_CHANNELS
from core.inference.own_night import by_own_night, cluster_views
from core.inference.softmax import log_softmax
from core.language.band_course import EEGS, band_course, chin_tone, night_features
from core.psg.preprocess import EPOCH_SECONDS, Trace, traces_of
from core.psg.runs import runs
from core.psg.scoring import EVENT_TYPES, STAGES, Event
from core.psg.store import PreparedStudy

STAGES_GRAPH, EVENTS_GRAPH = "night_stages", "night_events"
BLOCK, MARGIN = 7200, 300
"""Seconds that the event graph reads at a time, and what it reads on either side of them: more than it can see."""
REM = STAGES.index("R")
ATONIC, TONIC, LEAST_ODDS = 0.5, 1.1, 4.0
"""Chin tone over the night's lowest, in natural log units, at which REM sleep begins to be unlikely (1.6 times) and is
no more so (3 times), and the log odds against it there. Chosen on 19 simulated nights that no network saw, where 2 to 4
and 0.3 to 1 did nearly as well; the networks themselves see no EMG, since the tracks that taught them have none."""
RESPIRATORY = ("obstructive_apnea", "central_apnea", "mixed_apnea", "hypopnea")
APNEAS = RESPIRATORY[:3]
SHORTEST: Mapping[str, float] = dict.fromkeys(RESPIRATORY, 10) | {"rera": 10, "arousal": 3, "limb_movement": 1}
"""Least seconds, from the AASM manual; a limb movement of half a second fills one."""
TOLERANCE = 1  # second: the resolution of the course
JOINED = 2  # seconds below the threshold that do not end an event
RELEASE = 0.6  # of the threshold: what goes on above it is the same event


def stage_log_probabilities(
    study: PreparedStudy, engine: Engine, traces: Mapping[str, Trace] | None = None
) -> NDArray[np.float64] | None:
    """Read a night's stages from its EEGs and EOG; `traces` are those of `traces_of`, where they are made already.

    Returns
    -------
    ndarray or None
        [N, 5] natural logs in the order of `STAGES`, the mean over the usable EEGs of each epoch, told once more by the
        night's own clusters; rows of zeros where no EEG is usable. None where the bundle has no such graph or the
        study no EEG fast enough.
    """
    if STAGES_GRAPH not in engine.bundle.graphs:
        return None
    traces = traces_of(study) if traces is None else traces
    course = band_course(traces, study.states, study.n_epochs)
    seen: NDArray[np.bool_] = np.asarray(np.isfinite(course[:, : len(EEGS)]).all(axis=2))  # (epoch, derivation)
    if not seen.any():
        return None
    there = np.flatnonzero(seen.any(axis=0))
    features = [night_features(course[:, column], course[:, -1]) for column in there]
    total = np.zeros((study.n_epochs, 5))
    for column, shown in zip(there, features, strict=True):
        scores = engine.score(STAGES_GRAPH, shown[None])[0].astype(np.float64)
        total += np.where(seen[:, column, None], log_softmax(scores), 0)
    mean = log_softmax(total / np.maximum(seen.sum(axis=1, keepdims=True), 1))
    staged: NDArray[np.bool_] = np.asarray(seen.any(axis=1))
    told = by_own_night(mean, cluster_views(features), staged)
    told[:, REM] -= _without_atonia(chin_tone(traces, study.states, study.n_epochs))
    return np.where(staged[:, None], log_softmax(told), 0)


def _without_atonia(tone: NDArray[np.float64]) -> NDArray[np.float64]:
    """What speaks against REM sleep, in log odds, [N]: a chin whose tone is not low (AASM manual 2.6, rule R.1)."""
    above = (np.nan_to_num(tone, nan=0.0) - ATONIC) / (TONIC - ATONIC)
    return np.asarray(LEAST_ODDS * np.clip(above, 0.0, 1.0), np.float64)


def event_probabilities(
    study: PreparedStudy, engine: Engine, traces: Mapping[str, Trace] | None = None
) -> NDArray[np.float64] | None:
    """Read in each second of a night which events go on; none do while no channel that would show them is usable.

    Parameters
    ----------
    study
        A prepared study.
    engine
        The model.
    traces
        Those of `traces_of`, where they are made already.

    Returns
    -------
    ndarray or None
        [seconds, 8] in the order of `EVENT_TYPES`; None where the bundle has no such graph.
    """
    if EVENTS_GRAPH not in engine.bundle.graphs:
        return None
    from core.language.event_course import event_course  # brings scipy, which staging does without

    course = event_course(traces_of(study) if traces is None else traces, study.states, study.n_epochs)
    parts = []
    for first in range(0, len(course), BLOCK):
        start, stop = max(first - MARGIN, 0), min(first + BLOCK + MARGIN, len(course))
        scores = engine.score(EVENTS_GRAPH, course[None, start:stop])[0].astype(np.float64)
        parts.append(scores[first - start : first - start + BLOCK])
    told = np.asarray(1 / (1 + np.exp(-np.concatenate(parts))), np.float64)
    for kind, channels in NEEDED_CHANNELS.items():
        unseen = ~(study.present(channels) > 0).any(axis=1)
        told[np.repeat(unseen, EPOCH_SECONDS), EVENT_TYPES.index(kind)] = 0.0
    return told


def detected_events(probabilities: NDArray[np.float64], thresholds: Mapping[str, float]) -> tuple[Event, ...]:
    """Turn probabilities into events.

    Breathing events share one course (they exclude each other) and are typed as wholes; the others stand for
    themselves. A type without a threshold is not looked for.

    Parameters
    ----------
    probabilities
        [seconds, 8] from `event_probabilities`.
    thresholds
        Probability at which an event is one, by type, `breathing` for the four of breathing.

    Returns
    -------
    tuple
        By onset; confidence is the mean probability.
    """
    columns = {kind: probabilities[:, EVENT_TYPES.index(kind)] for kind in EVENT_TYPES}
    events: list[Event] = []
    if "breathing" in thresholds:
        together = np.minimum(sum(columns[kind] for kind in RESPIRATORY), 1.0)
        for start, end in _spans(together, thresholds["breathing"]):
            if end - start >= SHORTEST["hypopnea"] - TOLERANCE:
                mean = {kind: float(columns[kind][start:end].mean()) for kind in RESPIRATORY}
                events.append(_event(_type(mean), start, end, float(together[start:end].mean())))
    for kind in ("rera", "arousal", "limb_movement"):
        if kind in thresholds:
            spans = _spans(columns[kind], thresholds[kind])
            events += [
                _event(kind, start, end, float(columns[kind][start:end].mean()))
                for start, end in spans
                if end - start >= SHORTEST[kind] - TOLERANCE
            ]
    return tuple(sorted(events, key=lambda event: (event.onset, event.type)))


def _type(mean: Mapping[str, float]) -> str:
    apnea = max(APNEAS, key=lambda kind: mean[kind])
    return apnea if sum(mean[kind] for kind in APNEAS) > mean["hypopnea"] else "hypopnea"


def _event(kind: str, start: int, end: int, confidence: float) -> Event:
    return Event(kind, float(start), float(max(end - start, SHORTEST[kind])), round(confidence, 3))


def _spans(course: NDArray[np.float64], threshold: float) -> list[tuple[int, int]]:
    """Stretches that reach the threshold, as far as they stay above its release, near ones joined."""
    spans: list[tuple[int, int]] = []
    for start, end in runs(course >= RELEASE * threshold):
        if course[start:end].max() < threshold:
            continue
        if spans and start - spans[-1][1] <= JOINED:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans
