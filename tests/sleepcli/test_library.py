"""`index` and `query`, as people run them."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from core.errors import SleepcliError
from core.inference.bundle import load_bundle
from core.inference.library import Library
from tests.core.inference.fake_bundle import write_fake_bundle
from tests.sleepcli.conftest import PLANTED, Command, write_edf

pytest.importorskip("lancedb")

LABELS = ("EEG C3-M2", "EOG E1-M2", "EMG chin")


@pytest.fixture
def nights(tmp_path: Path) -> Path:
    folder = tmp_path / "nights"
    folder.mkdir()
    for seed in (1, 2):
        write_edf(folder / f"night{seed}.edf", LABELS, seed=seed)
    return folder


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_library_grows_by_what_is_new_and_answers_as_the_studies_do(program: Command, nights: Path) -> None:
    first = program("index", nights, "--library", "lab")
    assert first.returncode == 0, first.stderr
    assert [(row["study"], row["state"], row["epochs"]) for row in lines(first.stdout)] == [
        ("night1", "indexed", 4),
        ("night2", "indexed", 4),
    ]
    assert "The library lab holds 2 studies with 8 epochs." in first.stderr
    write_edf(nights / "night2.edf", LABELS, seed=5, epochs=3)
    write_edf(nights / "night3.edf", LABELS, seed=3)
    second = program("index", nights, "--library", "lab")
    assert [(row["study"], row["state"]) for row in lines(second.stdout)] == [
        ("night1", "unchanged"),
        ("night2", "indexed"),
        ("night3", "indexed"),
    ]
    assert "3 studies with 11 epochs" in second.stderr
    for options in (
        ("quiet breathing",),
        ("strange waves", "--where", "delta > 0 and p_W < 1.1"),
        ("delta above 1 %", "--localise"),
        ("delta above 1 %", "--by", "study"),
        ("delta above 1 %", "--answer"),
    ):
        plain = program("query", options[0], nights, *options[1:], "--no-scoring")
        library = program("query", *options, "--library", "lab")
        assert plain.returncode == library.returncode == 0, plain.stderr + library.stderr
        assert plain.stdout == library.stdout
        assert plain.stdout
        assert plain.stderr.splitlines()[-1] == "3 done."
        assert library.stderr.splitlines()[-1] in plain.stderr
    like = program("query", "--like", "night1:2", "--library", "lab", "--top", "3")
    assert len(lines(like.stdout)) == 3
    assert like.stdout == program("query", "--like", "night1:2", nights, "--top", "3", "--no-scoring").stdout


def test_studies_of_one_name_are_both_kept(program: Command, tmp_path: Path) -> None:
    for ward, seed in (("a", 1), ("b", 2)):
        (tmp_path / ward).mkdir()
        write_edf(tmp_path / ward / "night.edf", LABELS, seed=seed)
        assert program("index", tmp_path / ward / "night.edf", "--library", "lab").returncode == 0
    again = program("index", tmp_path / "a", tmp_path / "b", "--library", "lab")
    assert [row["state"] for row in lines(again.stdout)] == ["unchanged", "unchanged"], again.stdout
    hits = lines(program("query", "waves", "--library", "lab").stdout)
    assert {hit["study"] for hit in hits} == {"night", "b_night"}


def test_a_library_holds_no_name_and_no_place(program: Command, nights: Path, model: Path, tmp_path: Path) -> None:
    (nights / "broken.edf").write_bytes((nights / "night1.edf").read_bytes()[:700])
    told = program("index", nights, "--library", "lab", "--out", "run")
    assert told.returncode == 1
    left = told.stdout + told.stderr + "".join(path.read_text() for path in (tmp_path / "run").iterdir())
    assert "night2" in left
    assert PLANTED not in left
    assert PLANTED.replace("^", " ") not in left
    planted = (PLANTED, PLANTED.replace("^", " "), str(nights), str(tmp_path))
    library = Library("lab", load_bundle(model))
    for table in (library.epochs, library.studies):
        told = json.dumps(table.search().limit(None).to_arrow().drop_columns(["embedding"] if "epoch" in
                          table.schema.names else []).to_pylist())  # fmt: skip
        assert "night1" in told
        assert not [text for text in planted if text in told]
    written = b"".join(path.read_bytes() for path in (tmp_path / "lab").rglob("*") if path.is_file())
    assert not [text for text in planted if text.encode() in written]


def test_wrong_usage_ends_with_one_sentence(program: Command, nights: Path, tmp_path: Path) -> None:
    assert program("index", nights / "night1.edf", "--library", "lab").returncode == 0
    other = write_fake_bundle(tmp_path / "other", "other")
    cases = {
        ("index", nights, "--library", "lab", "--model", other): "holds embeddings of the model fake",
        ("query", "waves", "--library", "lab", "--model", other): "holds embeddings of the model fake",
        ("query", "waves", "--library", "nothing"): "There is no library in nothing.",
        ("query", "waves", nights, "--library", "lab"): "two places to look in",
        ("query", "waves"): "There is nothing to look in.",
        ("query", "waves", "--library", "lab", "--by", "patient"): "--by patient is not known",
        ("query", "waves", "--library", "lab", "--answer", "--localise"): "exclude each other",
        ("query", "waves", "--library", "lab", "--where", "epoch > 1; DELETE"): "--where cannot be read",
        ("query", "waves", "--library", "lab", "--where", "spo2 < 88"): "Did you mean spo2_min?",
        ("query", "--like", "night1:99", "--library", "lab"): "There is no epoch 99 of night1",
        ("query", "--library", "lab"): "Nothing is asked.",
    }
    for words, sentence in cases.items():
        result = program(*words)
        assert result.returncode == 2, (words, result.stderr)
        assert sentence in result.stderr
        assert result.stdout == ""


def test_without_the_extra_the_pip_line_is_said(
    program: Command, nights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lancedb", None)
    for words in (("index", nights, "--library", "lab"), ("query", "waves", "--library", "lab")):
        result = program(*words)
        assert result.returncode == 2
        assert "needs lancedb, which is not installed" in result.stderr
        assert 'pip install "lancedb' in result.stderr


def test_a_failed_study_leaves_the_others_in_the_library(program: Command, nights: Path) -> None:
    (nights / "broken.edf").write_bytes(b"0       not an EDF")
    result = program("index", nights, "--library", "lab")
    assert result.returncode == 1
    assert "2 studies with 8 epochs" in result.stderr
    shutil.rmtree(nights)
    assert lines(program("query", "waves", "--library", "lab").stdout)


def test_index_remembers_failures_in_its_run_folder_and_tries_them_when_asked(
    program: Command, nights: Path, tmp_path: Path
) -> None:
    (nights / "broken.edf").write_bytes(b"0       not an EDF")
    words = ("index", nights, "--library", "lab", "--out", "run")
    first = program(*words)
    assert first.returncode == 1, first.stderr
    report = json.loads((tmp_path / "run" / "run.json").read_text())
    assert [(row["study"], row["outcome"]) for row in report["studies"]] == [
        ("broken", "failed"),
        ("night1", "done"),
        ("night2", "done"),
    ]
    again = program(*words)
    assert [row["outcome"] for row in lines(again.stdout)] == ["skipped", "skipped"]
    assert "--retry-failed" in again.stderr
    assert "--retry-failed" not in program(*words, "--retry-failed").stderr
    shutil.rmtree(tmp_path / "lab")
    anew = program(*words)
    assert [row["outcome"] for row in lines(anew.stdout)] == ["done", "done"], "the library is another one"
    assert "2 studies with 8 epochs" in anew.stderr
    assert not [path for path in (tmp_path / "run").iterdir() if path.name.partition(".")[0] != "run"]


def test_query_reads_studies_in_several_processes_as_in_one(program: Command, nights: Path) -> None:
    words = ("query", "delta above 1 %", nights, "--no-scoring")
    one, two = program(*words), program(*words, "--jobs", "2", "--timeout", "300")
    assert one.returncode == two.returncode == 0, two.stderr
    assert one.stdout == two.stdout != ""


def test_studies_are_kept_where_their_indexes_cannot_be_made(
    program: Command, nights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Library) -> None:
        raise SleepcliError("The library lab cannot be indexed: the disk is full.", "Free some space.")

    with monkeypatch.context() as patched:
        patched.setattr(Library, "build_indexes", full)
        result = program("index", nights / "night1.edf", "--library", "lab")
    assert result.returncode == 1
    assert "the disk is full" in result.stderr
    assert "holds 1 study with 4 epochs" in result.stderr
    assert lines(program("query", "delta above 1 %", "--library", "lab").stdout)
