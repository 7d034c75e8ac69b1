"""What the commands do to one study: open, compute, write; the tasks of `core.batch`."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from core.batch import Outcome, StudyInput
from core.inference.bundle import load_bundle
from core.inference.captioning import CaptionOptions, EpochCaption, caption_rows
from core.inference.embedding import embed_study, embedding_channels
from core.inference.engine import Engine
from core.inference.night import Night, measured_night, night_in_parts
from core.inference.results import (
    finite,
    night_summary,
    stage_rows,
    write_captions,
    write_embeddings,
    write_stages,
    write_summary,
)
from core.inference.staging import Staging, StagingOptions, stage_study, staging_channels
from core.inference.studies import StudyOptions, open_measuring, open_study
from core.language.measure import EpochMeasurements
from core.memory import keep_freed_memory
from core.psg.formats import companions
from core.psg.mapping import explanations
from core.psg.montage import read_montage
from core.psg.scoring import STAGES, UNSCORED, find_scoring
from core.psg.store import PreparedStudy, write_store
from core.threads import share_interpreter


@dataclass(frozen=True)
class ModelChoice:
    """Which model runs, where and how."""

    model: str = "nano"
    """Name or folder of a bundle."""
    device: str = "auto"
    """`auto`, `cpu` or `cuda`."""
    batch: int = 0
    """Epochs in one call; 0 for the device's default."""
    threads: int = 0
    """CPU threads; 0 for all."""

    def engine(self) -> Engine:
        """The engine of this process, made once."""
        return _engine(self)


@lru_cache(maxsize=1)
def _engine(choice: ModelChoice) -> Engine:
    keep_freed_memory()
    share_interpreter()
    return Engine(load_bundle(choice.model), choice.device, choice.batch, choice.threads)


@dataclass(frozen=True)
class Reading:
    """How studies are opened."""

    montage: Path | None = None
    """TOML file that goes before the label resolver."""
    scoring: Path | None = None
    """Scoring given by hand."""
    look_for_scoring: bool = True
    """Whether a scoring beside the study is used."""
    lights_off: str | None = None
    """Clock time or seconds; None for the scoring's own."""
    lights_on: str | None = None
    """Likewise."""

    def open(self, item: StudyInput, channels: tuple[str, ...] | None = None) -> PreparedStudy:
        """Open one study: measured, or with some of its channels alone; see `core.inference.studies.open_study`."""
        return open_study(item.path, self._options(item, channels))

    def open_measuring(self, item: StudyInput) -> tuple[PreparedStudy, Callable[[], EpochMeasurements]]:
        """Open one study that is measured beside what comes next; see `core.inference.studies.open_measuring`."""
        return open_measuring(item.path, self._options(item, None))

    def _options(self, item: StudyInput, channels: tuple[str, ...] | None) -> StudyOptions:
        montage = read_montage(self.montage) if self.montage is not None else None
        return StudyOptions(
            montage=montage,
            scoring=self.scoring,
            look_for_scoring=self.look_for_scoring,
            lights_off=self.lights_off,
            lights_on=self.lights_on,
            study_id=item.study,
            measured=channels is None,
            channels=channels,
        )

    def sources(self, item: StudyInput) -> tuple[Path, ...]:
        """Files that the result depends on."""
        scoring = self.scoring
        beside: list[Path] = []
        if scoring is None and self.look_for_scoring:
            scoring, beside = find_scoring(item.path), explanations(item.path)
        return tuple(
            path for path in (item.path, *companions(item.path), self.montage, scoring, *beside) if path is not None
        )


class ReadsStudies:
    """What every task that opens studies has: how it opens them, and so what its result depends on."""

    reading: Reading

    def sources(self, item: StudyInput) -> Sequence[Path]:
        """Study, montage and scoring."""
        return self.reading.sources(item)


@dataclass(frozen=True)
class PrepareTask(ReadsStudies):
    """Writes `<study>.psg`: signals at 64 Hz, states, measurements and scoring."""

    out: Path
    reading: Reading = field(default_factory=Reading)

    def __call__(self, item: StudyInput) -> Outcome:
        """Prepare one study."""
        study = self.reading.open(item)
        folder = self.out / f"{item.study}.psg"
        write_store(study, folder)
        figures = {
            "epochs": study.n_epochs,
            "channels": ", ".join(_channels_there(study)),
            "scored": _is_scored(study),
        }
        return Outcome((folder.name,), figures, ({"study": item.study, **figures},), study.repairs)


@dataclass(frozen=True)
class StageTask(ReadsStudies):
    """Stages a study and writes `<study>.stages.csv` and `<study>.summary.json`."""

    out: Path | None
    choice: ModelChoice = field(default_factory=ModelChoice)
    reading: Reading = field(default_factory=Reading)

    def __call__(self, item: StudyInput) -> Outcome:
        """Stage one study."""
        engine = self.choice.engine()
        study = self.reading.open(item, staging_channels(engine))
        staging = stage_study(study, engine, StagingOptions())
        files: tuple[str, ...] = ()
        if self.out is not None:
            files = (f"{item.study}.stages.csv", f"{item.study}.summary.json")
            write_stages(staging, self.out / files[0])
            write_summary(night_summary(study, staging), self.out / files[1])
        rows = tuple({"study": item.study, **row} for row in stage_rows(staging))
        return Outcome(files, stage_figures(staging), rows, study.repairs)


@dataclass(frozen=True)
class CaptionTask(ReadsStudies):
    """Captions a study and writes its captions, stages and summary."""

    out: Path | None
    choice: ModelChoice | None = field(default_factory=ModelChoice)
    """None writes from the measurements and the scoring alone."""
    reading: Reading = field(default_factory=Reading)
    options: CaptionOptions = field(default_factory=CaptionOptions)

    def __call__(self, item: StudyInput) -> Outcome:
        """Caption one study."""
        study, parts = self._read(item)
        night: Night | None = None

        def rows() -> Iterator[EpochCaption]:
            nonlocal night
            for night, epochs in parts:
                yield from caption_rows(study, night, epochs)

        kinds = ("captions.jsonl", "stages.csv", "summary.json")
        files = tuple(f"{item.study}.{kind}" for kind in kinds) if self.out is not None else ()
        printed: tuple[Any, ...] = ()
        if self.out is not None:
            write_captions(rows(), self.out / files[0])
        else:
            printed = tuple(finite(row.to_json()) for row in rows())
        assert night is not None  # a study has one epoch at least
        summary = night_summary(study, night.staging, night)
        if self.out is not None:
            write_stages(night.staging, self.out / files[1])
            write_summary(summary, self.out / files[2])
        figures = stage_figures(night.staging) | {"events": len(night.events), "text": summary["text"]}
        return Outcome(files, figures, printed, study.repairs)

    def _read(self, item: StudyInput) -> tuple[PreparedStudy, Iterable[tuple[Night, Iterable[int]]]]:
        """Open a study; its night comes in parts, whose rows are printed while the next one is written."""
        wishes = self.options.night
        if self.choice is None:
            study = self.reading.open(item)
            return study, [(measured_night(study, wishes), range(study.n_epochs))]
        engine = self.choice.engine()
        study, measured = self.reading.open_measuring(item)
        return study, night_in_parts(study, engine, wishes, measured=measured)


@dataclass(frozen=True)
class EmbedTask(ReadsStudies):
    """Embeds a study and writes `<study>.embeddings.npy`."""

    out: Path | None
    choice: ModelChoice = field(default_factory=ModelChoice)
    reading: Reading = field(default_factory=Reading)

    def __call__(self, item: StudyInput) -> Outcome:
        """Embed one study."""
        engine = self.choice.engine()
        study = self.reading.open(item, embedding_channels(engine))
        embeddings = embed_study(study, engine)
        figures: dict[str, Any] = {"epochs": len(embeddings), "dimensions": embeddings.shape[1]}
        if self.out is None:
            rows = (
                {"study": item.study, "epoch": epoch, "embedding": [round(float(value), 6) for value in row]}
                for epoch, row in enumerate(embeddings)
            )
            return Outcome((), figures, tuple(rows), study.repairs)
        name = f"{item.study}.embeddings.npy"
        write_embeddings(embeddings, self.out / name)
        return Outcome((name,), figures, (), study.repairs)


def stage_figures(staging: Staging) -> dict[str, Any]:
    """Minutes of each stage, share of epochs without a stage, mean probability of the stages given."""
    stages = list(staging.stages)
    figures: dict[str, Any] = {"epochs": len(stages), "stages_from": staging.source}
    figures |= {f"{stage}_min": stages.count(stage) / 2 for stage in STAGES}
    figures["unscored_min"] = stages.count(UNSCORED) / 2
    if staging.probabilities is not None and any(stage != UNSCORED for stage in stages):
        figures["confidence"] = round(float(np.nanmean(np.nanmax(staging.probabilities, axis=1, initial=0.0))), 3)
    return figures


def threads_for(jobs: int) -> int:
    """CPU threads of each of several worker processes; 0, all of them, for one."""
    return 0 if jobs <= 1 else max(1, (os.cpu_count() or 1) // jobs)


def _is_scored(study: PreparedStudy) -> bool:
    """Whether the study has a scoring with more in it than lights."""
    scoring = study.scoring
    return scoring is not None and (bool(scoring.events) or {*scoring.stages} != {UNSCORED})


def _channels_there(study: PreparedStudy) -> list[str]:
    names = [*study.offset]
    return [name for name in names if study.present((name,)).any()]
