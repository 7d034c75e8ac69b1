"""A study in a notebook: stages, events and measurements as tables, captions, embeddings, answers.

Nothing is computed before it is asked for, and nothing twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.inference.bundle import load_bundle
from core.inference.captioning import EpochCaption, caption_rows
from core.inference.engine import Engine
from core.inference.epoch_table import StudyTable, table_of_night
from core.inference.excerpt import excerpt
from core.inference.night import Night, NightOptions, read_night
from core.inference.results import night_summary, stage_rows
from core.inference.search import Answer, search
from core.inference.studies import StudyOptions, open_study
from core.psg.preprocess import Trace
from core.psg.scoring import STAGES
from core.psg.store import PreparedStudy

STAGE_TYPE = np.dtype(
    [("epoch", "i4"), ("onset", "f8"), ("duration", "f8"), ("stage", "U2"), *((f"p_{stage}", "f8") for stage in STAGES)]
)
"""Columns of `StudyNotes.stages`; probabilities are NaN where there are none."""
EVENT_TYPE = np.dtype([("type", "U24"), ("onset", "f8"), ("duration", "f8"), ("confidence", "f8")])
"""Columns of `StudyNotes.events`; a confidence that is not known is NaN."""


@dataclass(frozen=True)
class StudyNotes:
    """One study, read by one model. Made by `read_study`."""

    path: Path
    """The recording, or the prepared study."""
    engine: Engine
    """The model."""
    study: PreparedStudy
    """Signals at 64 Hz, states, measurements, scoring."""
    options: StudyOptions = field(default_factory=StudyOptions)
    """How the study was opened."""

    @cached_property
    def night(self) -> Night:
        """All that the model and the rules say of the night; the slow part, once."""
        return read_night(self.study, self.engine, NightOptions(use_scoring=self.study.scoring is not None))

    @property
    def stages(self) -> NDArray[np.void]:
        """Stages as a structured array of `STAGE_TYPE`, one row an epoch; times in seconds."""
        rows = [
            tuple(np.nan if value is None else value for value in row.values())
            for row in stage_rows(self.night.staging)
        ]
        return np.array(rows, STAGE_TYPE)

    @property
    def events(self) -> NDArray[np.void]:
        """Events as a structured array of `EVENT_TYPE`, by onset; times in seconds from the recording's start."""
        rows = [
            (event.type, event.onset, event.duration, np.nan if event.confidence is None else event.confidence)
            for event in self.night.events
        ]
        return np.array(rows, EVENT_TYPE)

    @property
    def measurements(self) -> dict[str, NDArray[np.float32]]:
        """Measured values by name, [N] each, NaN where nothing reliable was measured.

        Units and definitions: `core.language.measurements.MEASUREMENTS`.
        """
        return dict(self.night.measurements.values)

    @cached_property
    def captions(self) -> tuple[EpochCaption, ...]:
        """Captions, one an epoch: `caption.captions["brain"]` is a text, `caption.to_json()` the line of the file."""
        return tuple(caption_rows(self.study, self.night))

    @property
    def embeddings(self) -> NDArray[np.float32]:
        """Embeddings of the epochs, [N, D], L2-normalised."""
        rows = self.night.embeddings
        return rows if rows is not None else np.zeros((0, self.engine.bundle.embed_dim), np.float32)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The night: statistics, paragraphs, channel map, repairs, as in `<study>.summary.json`."""
        return night_summary(self.study, self.night.staging, self.night)

    @cached_property
    def table(self) -> StudyTable:
        """The rows that questions are put to; see `query_studies` for several studies."""
        return table_of_night(self.study, self.night)

    def query(self, question: str, limit: int = 10) -> Answer:
        """Find the epochs that answer a question, best first; `answer.hits`, and `answer.question` as understood."""
        return query_studies(question, [self], limit)

    def signals(self, epoch: int) -> dict[str, Trace]:
        """Channels of one epoch as recorded: `trace.samples` in its canonical unit (EEG µV, SpO2 %), `trace.rate` Hz.

        Raises
        ------
        UsageError
            There is no such epoch.
        """
        return excerpt(self.path, epoch, montage=self.options.montage)


def read_study(
    path: str | Path, model: str | Path | Engine = "nano", device: str = "auto", options: StudyOptions | None = None
) -> StudyNotes:
    """Open a study for a notebook.

    Parameters
    ----------
    path
        EDF, BDF or any other recording, a prepared study's folder, or a .npy of [N, 10, 1920].
    model
        Name or folder of a bundle, or an engine to share between studies.
    device
        `auto`, `cpu` or `cuda`; an engine has its own.
    options
        Montage, scoring, lights, name. By default a scoring beside the study gives stages and events.

    Raises
    ------
    StudyError
        The file cannot be read.
    ModelError
        There is no such model.
    """
    engine = model if isinstance(model, Engine) else Engine(load_bundle(model), device)
    options = options or StudyOptions()
    return StudyNotes(Path(path), engine, open_study(Path(path), options), options)


def query_studies(question: str, studies: Sequence[StudyNotes], limit: int = 10) -> Answer:
    """Find the epochs of several studies that answer a question, best first.

    Parameters
    ----------
    question
        In words; figures, stages, events, positions and times filter, the rest ranks.
    studies
        At least one, read with the same model.
    limit
        Most hits.
    """
    return search(question, [study.table for study in studies], studies[0].engine, limit)
