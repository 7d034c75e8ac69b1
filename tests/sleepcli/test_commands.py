"""The commands as people run them: outputs of the contract, failures in one sentence, exit codes."""

import csv
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.sleepcli.conftest import PLANTED, Command, write_edf

STAGE_COLUMNS = ["epoch", "onset", "duration", "stage", "p_W", "p_N1", "p_N2", "p_N3", "p_R"]
CAPTION_KEYS = {
    "study", "epoch", "onset", "duration", "stage", "stage_probabilities", "captions", "events", "measurements",
    "channels",
}  # fmt: skip
DOMAINS = {"stage_event", "brain", "cardiac", "respiration", "somatic"}


def lines(result: subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def assert_one_sentence(result: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error:")]
    assert len(errors) == 1, result.stderr
    assert all(word in errors[0] for word in words), errors[0]
    assert PLANTED not in result.stdout + result.stderr


def empty(folder: Path) -> Path:
    path = folder / "empty.edf"
    path.touch()
    return path


def noise(folder: Path) -> Path:
    path = folder / "noise.edf"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    return path


def no_eeg(folder: Path) -> Path:
    return write_edf(folder / "breathing.edf", ("Thorax", "Flow"))


def short(folder: Path) -> Path:
    return write_edf(folder / "short.edf", ("EEG C3-M2",), epochs=0)


@pytest.mark.parametrize("make", [empty, noise])
@pytest.mark.parametrize("command", ["stage", "caption", "embed", "info"])
def test_unreadable_file_is_one_sentence(
    program: Command, tmp_path: Path, make: Callable[[Path], Path], command: str
) -> None:
    path = make(tmp_path)
    assert_one_sentence(program(command, path), 3, path.name)


def test_missing_file_is_wrong_usage(program: Command) -> None:
    assert_one_sentence(program("stage", "nowhere.edf"), 2, "nowhere.edf")


def test_staging_without_eeg_says_what_is_there(program: Command, tmp_path: Path) -> None:
    assert_one_sentence(program("stage", no_eeg(tmp_path)), 3, "EEG", "THX", "AF")


def test_captions_without_eeg_tell_the_other_domains(program: Command, tmp_path: Path) -> None:
    result = program("caption", no_eeg(tmp_path))
    assert result.returncode == 0, result.stderr
    rows = lines(result)
    assert {row["stage"] for row in rows} == {"?"}
    assert all("missing" in str(row["captions"]["brain"]) for row in rows)  # type: ignore[index]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("stage", "{study}", "--model", "nanno"), ("nanno",)),
        (("caption", "{study}", "--domains", "brains"), ("brains",)),
        (("stage", "{study}", "--device", "tpu"), ("tpu",)),
        (("stage", "{study}", "--on-error", "shrug"), ("shrug",)),
        (("stage", "{study}", "--montage", "nowhere.toml"), ("nowhere.toml",)),
        (("stage", "{study}", "--scoring", "nowhere.csv"), ("nowhere.csv",)),
        (("export", "nowhere", "--out", "model"), ("nowhere",)),
        (("train", "nowhere", "--out", "run", "--max-steps", "1"), ("nowhere",)),
    ],
)
def test_wrong_usage_is_one_sentence(
    program: Command, study: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    result = program(*(argument.format(study=study) for argument in arguments))
    assert_one_sentence(result, 2, *words)


def test_unknown_channel_in_a_montage_is_named(program: Command, study: Path, tmp_path: Path) -> None:
    montage = tmp_path / "lab.toml"
    montage.write_text('[channels]\nEEG_C3 = "EEG C3-M3"\n')
    result = program("info", study, "--montage", montage)
    assert result.returncode in (2, 3)
    assert "EEG C3-M2" in result.stderr
    assert "Traceback" not in result.stderr


def test_damaged_bundle_is_refused(program: Command, study: Path, model: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(model, damaged)
    graph = damaged / "signal_encoder.onnx"
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(content)
    assert_one_sentence(program("stage", study, "--model", damaged), 2, "damaged")


def test_a_batch_completes_the_others(program: Command, study: Path, tmp_path: Path) -> None:
    broken = [empty(tmp_path), noise(tmp_path), tmp_path / "gone.edf"]
    out = tmp_path / "out"
    result = program("stage", study, *broken, "--out", out)
    assert result.returncode == 1
    assert result.stderr.count("Error:") == 3
    assert (out / "study.stages.csv").exists()
    report = json.loads((out / "run.json").read_text())
    assert sorted(row["outcome"] for row in report["studies"]) == ["done", "failed", "failed", "failed"]
    assert not [path for path in out.iterdir() if path.name.endswith(".part")]


def test_stage_writes_the_contract(program: Command, study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert program("stage", study, "--out", out).returncode == 0
    with (out / "study.stages.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == STAGE_COLUMNS
    assert [row["epoch"] for row in rows] == ["0", "1", "2", "3"]
    assert [float(row["onset"]) for row in rows] == [0, 30, 60, 90]
    for row in rows:
        chances = {name: float(row[f"p_{name}"]) for name in ("W", "N1", "N2", "N3", "R")}
        assert sum(chances.values()) == pytest.approx(1, abs=1e-3)
        assert row["stage"] == max(chances, key=chances.__getitem__)


def test_caption_writes_the_contract(program: Command, study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert program("caption", study, "--out", out).returncode == 0
    rows = [json.loads(line) for line in (out / "study.captions.jsonl").read_text().splitlines()]
    assert len(rows) == 4
    for row in rows:
        assert set(row) == CAPTION_KEYS
        assert set(row["captions"]) == DOMAINS
        assert "missing" in row["captions"]["cardiac"]
        assert not any(character.isdigit() for character in row["captions"]["cardiac"])
        assert row["channels"]["ECG"] == "missing"
    assert json.loads((out / "study.summary.json").read_text())["study"] == "study"
    assert (out / "study.stages.csv").exists()


def test_embeddings_are_unit_vectors(program: Command, study: Path, tmp_path: Path) -> None:
    assert program("embed", study, "--out", tmp_path / "out").returncode == 0
    vectors = np.load(tmp_path / "out" / "study.embeddings.npy")
    assert vectors.dtype == np.float32
    assert vectors.shape[0] == 4
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_query_gives_hits_best_first(program: Command, study: Path) -> None:
    result = program("query", "deep sleep", study, "--top", "3")
    assert result.returncode == 0, result.stderr
    hits = lines(result)
    assert len(hits) <= 3
    assert all({"study", "epoch", "onset", "score", "caption"} <= set(hit) for hit in hits)
    scores = [float(str(hit["score"])) for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert "understood:" in result.stderr


def test_prepared_study_gives_what_its_edf_gives(program: Command, study: Path, tmp_path: Path) -> None:
    assert program("prepare", study, "--out", tmp_path / "prepared").returncode == 0
    whole = program("caption", study)
    prepared = program("caption", tmp_path / "prepared" / "study.psg")
    assert whole.returncode == prepared.returncode == 0
    assert whole.stdout == prepared.stdout


def test_batch_size_changes_nothing(program: Command, study: Path) -> None:
    results = [program("caption", study, "--batch", batch) for batch in (1, 3)]
    assert results[0].stdout == results[1].stdout
    assert results[0].stdout


def test_an_array_is_a_prepared_study(program: Command, tmp_path: Path) -> None:
    array = np.random.default_rng(0).standard_normal((3, 10, 1920)).astype(np.float32)
    array[:, 9] = 2.0
    np.save(tmp_path / "array.npy", array)
    result = program("stage", tmp_path / "array.npy")
    assert result.returncode == 0, result.stderr
    assert len(lines(result)) == 3


def test_scoring_beside_the_study_gives_the_stages(program: Command, study: Path, tmp_path: Path) -> None:
    wanted = ["N3", "R", "?", "W"]
    rows = "".join(f"{epoch},{30 * epoch},30,{stage}\n" for epoch, stage in enumerate(wanted))
    (tmp_path / "study.stages.csv").write_text("epoch,onset,duration,stage\n" + rows)
    assert [row["stage"] for row in lines(program("stage", study))] == wanted
    unaided = lines(program("stage", study, "--no-scoring"))
    assert all(row["p_W"] is not None for row in unaided)


def test_own_output_beside_the_study_is_no_scoring(program: Command, study: Path, tmp_path: Path) -> None:
    first = program("stage", study, "--out", tmp_path)
    assert first.returncode == 0, first.stderr
    again = lines(program("stage", study))
    assert all(row["p_W"] is not None for row in again)


def test_no_output_holds_a_patient_field(program: Command, study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for arguments in (("caption", study, "--out", out), ("embed", study, "--out", out), ("info", study, "--json")):
        result = program(*arguments)
        assert PLANTED not in result.stdout + result.stderr
    program("prepare", study, "--out", out)
    for path in out.rglob("*"):
        if path.is_file():
            assert PLANTED.encode() not in path.read_bytes(), path


def test_written_montage_reads_back(program: Command, study: Path, tmp_path: Path) -> None:
    montage = tmp_path / "lab.toml"
    first = program("info", study, "--write-montage", montage)
    again = program("info", study, "--montage", montage)
    assert first.returncode == again.returncode == 0, again.stderr
    sources = [[channel["source"] for channel in lines(result)[0]["channels"]] for result in (first, again)]  # type: ignore[attr-defined]
    assert sources[0] == sources[1]


def test_list_on_standard_input(sleepcli: Command, study: Path) -> None:
    result = sleepcli("stage", "-", text=f"{study}\n")
    assert result.returncode == 0, result.stderr
    assert len(lines(result)) == 4


def test_rerun_skips_what_is_done(program: Command, study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first, again = (program("stage", study, "--out", out) for _ in range(2))
    assert lines(first)[0]["outcome"] == "done"
    assert lines(again)[0]["outcome"] == "skipped"
