"""The events that the night model finds in a study, typed by the measured effort, where a channel shows them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.inference.course_graphs import EVENTS_GRAPH, RESPIRATORY, detected_events, event_probabilities
from core.inference.engine import Engine
from core.inference.events import NEEDED_CHANNELS, seen
from core.psg.preprocess import EPOCH_SECONDS, Trace, traces_of
from core.psg.scoring import Event
from core.psg.store import PreparedStudy


@dataclass(frozen=True)
class FoundEvents:
    """What a model says of a night's events."""

    events: tuple[Event, ...]
    """By onset, in seconds of the recording."""
    sees: tuple[str, ...]
    """Types that it could see."""
    trusted: tuple[str, ...] = ()
    """Types of which its events go before those of the rules."""


def found_events(study: PreparedStudy, engine: Engine, traces: Mapping[str, Trace] | None = None) -> FoundEvents | None:
    """Give the events of the night model; None where the bundle has none. `traces` as of `event_probabilities`."""
    if traces is None and EVENTS_GRAPH in engine.bundle.graphs:
        traces = traces_of(study)
    probabilities = event_probabilities(study, engine, traces)
    if probabilities is None or traces is None:
        return None
    from core.language.respiratory_events import typed_by_effort  # brings scipy, which staging does without

    visible, thresholds = visible_epochs(study, engine), engine.bundle.event_thresholds
    kinds = {*thresholds} | ({*RESPIRATORY} if "breathing" in thresholds else set())
    sees = tuple(kind for kind, epochs in visible.items() if kind in kinds and epochs.any())
    events = typed_by_effort(detected_events(probabilities, thresholds), traces, study.states)
    seen_events = tuple(event for event in events if visible[event.type][int(event.onset // EPOCH_SECONDS)])
    return FoundEvents(seen_events, sees, tuple(kind for kind in RESPIRATORY if kind in sees))


def visible_epochs(study: PreparedStudy, engine: Engine) -> dict[str, NDArray[np.bool_]]:
    """Tell by event type in which epochs, [N], the model can see such an event."""
    visible = {kind: taken(study, engine, needed) for kind, needed in NEEDED_CHANNELS.items()}
    return visible | {"rera": visible["rera"] & visible["arousal"]}  # it ends in an arousal


def taken(study: PreparedStudy, engine: Engine, names: tuple[str, ...]) -> NDArray[np.bool_]:
    """Tell for each epoch, [N], whether the model takes one of these channels and it is usable."""
    return seen(study, tuple(name for name in names if name in engine.bundle.channels))
