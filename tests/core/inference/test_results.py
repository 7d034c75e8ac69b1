import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.errors import SleepcliError, StudyError
from core.inference.captioning import caption_rows
from core.inference.engine import Engine
from core.inference.night import read_night
from core.inference.results import (
    json_line,
    night_summary,
    read_stages,
    write_captions,
    write_embeddings,
    write_stages,
    write_summary,
)
from core.inference.staging import stage_study
from core.psg.scoring import STAGES, Scoring


def test_stages_have_the_columns_of_the_contract(engine: Engine, make_study, tmp_path: Path) -> None:
    path = tmp_path / "x.stages.csv"
    write_stages(stage_study(make_study(gap=(3,)), engine), path)
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["epoch", "onset", "duration", "stage", "p_W", "p_N1", "p_N2", "p_N3", "p_R"]
    assert [int(row["epoch"]) for row in rows] == list(range(12))
    assert [float(row["onset"]) for row in rows] == [30.0 * k for k in range(12)]
    assert rows[3]["stage"] == "?"
    assert rows[3]["p_W"] == ""
    for row in rows[:3]:
        figures = [float(row[f"p_{stage}"]) for stage in STAGES]
        assert row["stage"] == STAGES[int(np.argmax(figures))]
        assert sum(figures) == pytest.approx(1.0, abs=3e-4)


def test_stages_are_read_as_they_were_written(engine: Engine, make_study, tmp_path: Path) -> None:
    staging = stage_study(make_study(gap=(3,)), engine)
    write_stages(staging, tmp_path / "x.stages.csv")
    again = read_stages(tmp_path / "x.stages.csv")
    assert again.stages == staging.stages
    assert again.source == "model"
    assert np.array_equal(again.probabilities, staging.probabilities, equal_nan=True)


def test_scored_stages_have_no_probabilities(engine: Engine, make_study, tmp_path: Path) -> None:
    study = replace(make_study(), scoring=Scoring(("N2",) * 12, ()))
    write_stages(stage_study(study, engine), tmp_path / "x.stages.csv")
    assert (tmp_path / "x.stages.csv").read_text().splitlines()[1] == "0,0,30,N2,,,,,"
    assert read_stages(tmp_path / "x.stages.csv").source == "scoring"


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "epoch,onset,duration,stage\n0,0,30,W\n", "\x00\x01"])
def test_another_file_is_no_stages_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.csv").write_text(content)
    with pytest.raises(StudyError, match="not a readable stages file"):
        read_stages(tmp_path / "x.csv")


def test_all_files_of_a_night(engine: Engine, make_study, tmp_path: Path) -> None:
    study = make_study()
    night = read_night(study, engine)
    assert write_captions(caption_rows(study, night), tmp_path / "x.captions.jsonl") == 12
    write_summary(night_summary(study, night.staging, night), tmp_path / "x.summary.json")
    write_embeddings(night.embeddings, tmp_path / "x.embeddings.npy")
    rows = [json.loads(line) for line in (tmp_path / "x.captions.jsonl").read_text().splitlines()]
    assert [row["stage"] for row in rows] == list(night.staging.stages)
    summary = json.loads((tmp_path / "x.summary.json").read_text())
    assert summary["epochs"] == 12
    assert summary["duration"] == 360.0
    assert summary["statistics"]["total_sleep_time"] <= 6.0
    assert summary["text"]
    embeddings = np.load(tmp_path / "x.embeddings.npy")
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1.0, rtol=1e-5)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "x.captions.jsonl", "x.embeddings.npy", "x.summary.json",
    ]  # fmt: skip


def test_a_failure_leaves_nothing_half_written(engine: Engine, make_study, tmp_path: Path) -> None:
    study = make_study()
    night = read_night(study, engine)

    def breaking():
        for number, row in enumerate(caption_rows(study, night)):
            if number == 5:
                raise OSError(28, "No space left on device")
            yield row

    with pytest.raises(SleepcliError, match=r"x\.captions\.jsonl cannot be written: no space left"):
        write_captions(breaking(), tmp_path / "x.captions.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_finite_is_null() -> None:
    line = json_line({"a": np.float32("nan"), "b": [float("inf"), 1.5], "c": {"d": np.int64(3)}, "e": (None, "µV")})
    assert line == '{"a": null, "b": [null, 1.5], "c": {"d": 3}, "e": [null, "µV"]}'


def test_no_figure_of_a_night_is_infinite(engine: Engine, make_study) -> None:
    study = make_study(absent=("ECG", "ABD", "THX", "AF"), gap=(0, 1))
    night = read_night(study, engine)
    text = json.dumps(night_summary(study, night.staging, night), allow_nan=False)
    assert json.loads(text)["epochs"] == study.n_epochs
