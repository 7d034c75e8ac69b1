"""The files of a study: stages, captions, the night's summary, embeddings; each whole or absent."""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import StudyError
from core.files import whole_file, write_text
from core.inference.captioning import EpochCaption, phrase_seed
from core.inference.night import Night
from core.inference.staging import DIGITS, Staging
from core.language.describe_night import describe_night
from core.language.measure import EpochMeasurements
from core.language.night import night_statistics
from core.psg.preprocess import EPOCH_SECONDS
from core.psg.scoring import STAGES, UNSCORED, Scoring
from core.psg.store import PreparedStudy

STAGE_COLUMNS = ("epoch", "onset", "duration", "stage", *(f"p_{stage}" for stage in STAGES))


def stage_rows(staging: Staging) -> list[dict[str, Any]]:
    """Give the stages as rows of `STAGE_COLUMNS`; probabilities are None where there are none."""
    rows = []
    for epoch, stage in enumerate(staging.stages):
        known = staging.probabilities is not None and stage != UNSCORED
        chances = staging.probabilities[epoch] if known and staging.probabilities is not None else [None] * len(STAGES)
        figures = (None if p is None else float(p) for p in chances)
        values = (epoch, epoch * EPOCH_SECONDS, EPOCH_SECONDS, stage, *figures)
        rows.append(dict(zip(STAGE_COLUMNS, values, strict=True)))
    return rows


def write_stages(staging: Staging, path: Path) -> None:
    """Write `<study>.stages.csv`; a probability that is not known is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(STAGE_COLUMNS)
    for row in stage_rows(staging):
        writer.writerow(
            f"{value:.{DIGITS}f}" if isinstance(value, float) else "" if value is None else value
            for value in row.values()
        )
    write_text(path, text.getvalue())


def read_stages(path: Path) -> Staging:
    """Read a `<study>.stages.csv` that this program wrote.

    Raises
    ------
    StudyError
        The file is not one of them.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            rows = list(reader)
        if tuple(reader.fieldnames or ()) != STAGE_COLUMNS:
            raise ValueError("columns")
        stages = tuple(row["stage"] for row in rows)
        cells = [[row[f"p_{stage}"] for stage in STAGES] for row in rows]
        probabilities = np.array([[float(cell) if cell else np.nan for cell in row] for row in cells])
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise StudyError(f"{path} is not a readable stages file of sleepcli.", "Run sleepcli stage again.") from error
    if not set(stages) <= {*STAGES, UNSCORED}:
        raise StudyError(f"{path} has a stage that is none of {' '.join(STAGES)} {UNSCORED}.")
    if not len(stages) or np.isnan(probabilities).all():
        return Staging(stages, None, "scoring")
    return Staging(stages, probabilities.reshape(-1, len(STAGES)), "model")


def write_captions(rows: Iterable[EpochCaption], path: Path) -> int:
    """Write `<study>.captions.jsonl`, a line an epoch, as the rows come; returns their number."""
    count = 0
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        for row in rows:
            stream.write(json_line(row.to_json()) + "\n")
            count += 1
    return count


def write_embeddings(embeddings: NDArray[np.float32], path: Path) -> None:
    """Write `<study>.embeddings.npy`, [N, D] float32."""
    with whole_file(path) as temporary, temporary.open("wb") as stream:
        np.save(stream, np.ascontiguousarray(embeddings, np.float32), allow_pickle=False)


def night_summary(
    study: PreparedStudy, staging: Staging, night: Night | None = None, measurements: EpochMeasurements | None = None
) -> dict[str, Any]:
    """Summarise a night: statistics, sentences and what was read.

    Parameters
    ----------
    study
        The study.
    staging
        Its stages.
    night
        Its events, where somebody looked for them; those of the scoring by default, where the stages are its too.
    measurements
        Measured values; those of the night by default.

    Returns
    -------
    dict
        JSON values; what is not known is null.
    """
    scored = study.scoring.events if study.scoring is not None and staging.source == "scoring" else ()
    events = night.events if night is not None else scored
    measured = measurements if measurements is not None or night is None else night.measurements
    duration = study.n_epochs * float(EPOCH_SECONDS)
    scoring = study.scoring
    lights = (scoring.lights_off, scoring.lights_on) if scoring is not None else (None, None)
    settled = Scoring(staging.stages, events, *lights)
    found_by = night.found_by if night is not None else None if scored else {}
    statistics = night_statistics(settled, measured, duration, found_by)
    summary = {
        "study": study.study,
        "start": study.start.isoformat() if study.start is not None else None,
        "duration": duration,
        "epochs": study.n_epochs,
        "stages_from": staging.source,
        "events_from": night.events_from if night is not None else "scoring" if scored else None,
        "statistics": asdict(statistics),
        "text": describe_night(statistics, phrase_seed(study.source_hash, -1)),
        "format": study.source_format,
        "repairs": list(study.repairs),
        "channels": study.channel_map.get("channels", []),
        "unused_signals": study.channel_map.get("unused", []),
    }
    return {name: finite(value) for name, value in summary.items()}


def write_summary(summary: Mapping[str, Any], path: Path) -> None:
    """Write `<study>.summary.json`."""
    write_text(path, json.dumps(finite(summary), ensure_ascii=False, allow_nan=False, indent=2) + "\n")


def json_line(row: Mapping[str, Any]) -> str:
    """One line of JSON; a figure that is not finite becomes null."""
    return json.dumps(finite(row), ensure_ascii=False, allow_nan=False)


def finite(value: Any) -> Any:
    """Give a JSON value of plain Python types in which no figure is infinite or not a number."""
    if isinstance(value, float):  # most of what a caption's line holds, then text
        return round(float(value), 6) if isfinite(value) else None
    if isinstance(value, str | int | None):
        return value
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return finite(asdict(value))
    if isinstance(value, np.ndarray | np.generic):
        return finite(value.tolist())
    return value
