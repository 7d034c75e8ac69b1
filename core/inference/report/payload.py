"""What the page's script needs, small enough to travel inside it."""

import base64
import json
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from core.inference.report.contents import Contents
from core.inference.report.evidence import Sentence
from core.inference.report.marks import Figure
from core.inference.report.markup import plain
from core.inference.report.signals import Signals, pack_signals
from core.inference.report.tracks import event_lanes
from core.inference.results import finite
from core.psg.channels import CHANNELS
from core.psg.preprocess import EPOCH_SECONDS
from core.psg.quality import State
from core.psg.scorings.terms import EVENT_LABELS, EVENT_TYPES, STAGES

LETTERS = {"W": "W", "N1": "1", "N2": "2", "N3": "3", "R": "R", "?": "?"}
"""A character a stage."""


def payload(contents: Contents, figure: Figure, sentences: list[Sentence]) -> dict[str, str]:
    """Give the page's data: texts by element identifier.

    Parameters
    ----------
    contents
        The night.
    figure
        For its duration and clock.
    sentences
        Of the summary, in the order of their numbers in the page.
    """
    signals = pack_signals(contents.study)
    night = _night(contents, figure, signals)
    night["evidence"] = [[[m.onset, m.duration, m.label] for m in sentence.moments] for sentence in sentences]
    texts = {"data-night": _packed(json.dumps(finite(night), ensure_ascii=False, separators=(",", ":")).encode())}
    for number, data in enumerate(signals.data):
        texts[f"data-signal-{number}"] = base64.b64encode(data).decode()
    return texts


def _packed(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 6)).decode()


def _night(contents: Contents, figure: Figure, signals: Signals) -> dict[str, Any]:
    study, night = contents.study, contents.night
    scoring = study.scoring
    model = contents.model
    return {
        "study": plain(study.study),
        "key": f"{study.source_hash[:16]}:{zlib.crc32(repr((night.staging.stages, night.events)).encode()):08x}",
        "epochs": study.n_epochs,
        "seconds": EPOCH_SECONDS,
        "start": figure.start,
        "lights": [None, None] if scoring is None else [scoring.lights_off, scoring.lights_on],
        "stages": letters(night.staging.stages),
        "source": night.staging.source,
        "model": None if model is None else letters(model.stages),
        "probabilities": _probabilities(contents),
        "types": list(EVENT_TYPES),
        "lanes": event_lanes(contents),
        "labels": [EVENT_LABELS[kind] for kind in EVENT_TYPES],
        "events": [
            [EVENT_TYPES.index(event.type), round(event.onset, 1), round(event.duration, 1), event.confidence]
            for event in night.events
        ],
        "domains": list(night.domains),
        "captions": [[row.captions.get(domain, "") for domain in night.domains] for row in contents.captions],
        "channels": [channel.name for channel in CHANNELS],
        "states": ["".join(str(int(code)) for code in row) for row in study.states],
        "state_names": [state.name.lower() for state in State],
        "signals": list(signals.channels),
    }


def letters(stages: Sequence[str]) -> str:
    """Stages as a character each."""
    return "".join(LETTERS[stage] for stage in stages)


def _probabilities(contents: Contents) -> list[int] | None:
    """Per mille, five an epoch in the order of `STAGES`; 0 throughout where the model gave none."""
    if contents.model is None or contents.model.probabilities is None:
        return None
    known = np.nan_to_num(contents.model.probabilities).reshape(-1, len(STAGES))
    return [int(value) for value in np.round(known * 1000).reshape(-1)]
