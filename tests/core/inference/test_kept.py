"""What one start leaves for the next: found again, whole or not at all, and the same numbers with it as without."""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from core.inference import kept
from core.inference.bundle import load_bundle
from core.inference.engine import Engine
from core.inference.kept import FOLDER, KeptFiles
from tests.core.inference.fake_bundle import CHANNELS, QUERIES, SAMPLES, WIDTH, write_fake_bundle

PROMPTS = ["wake", "deep sleep", "rem sleep", "light sleep", "an arousal"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLEEPCLI_CACHE", str(tmp_path / "cache"))
    return write_fake_bundle(tmp_path / "models" / "fake")


def work(folder: Path) -> list[bytes]:
    engine = Engine(load_bundle(folder), "cpu", threads=1)
    signals = np.random.default_rng(0).standard_normal((3, len(CHANNELS), SAMPLES)).astype(np.float32)
    embedding, tokens = engine.encode(signals)
    state = engine.decoder.start(np.ones((1, QUERIES, WIDTH), np.float32), np.array([0]), np.array([2]), 4)
    scores = engine.decoder.step(state, np.array([[1]]), np.array([0]), logits=True)
    assert scores.logits is not None
    return [embedding.tobytes(), tokens.tobytes(), engine.embed_texts(PROMPTS).tobytes(), scores.logits.tobytes()]


def test_the_second_start_finds_graphs_and_prompts_and_gives_the_same_bytes(folder: Path) -> None:
    first = work(folder)
    left = sorted(path.name for path in (folder / FOLDER).glob("*/*"))
    assert left.count("digests.json") == 5
    assert {"signal_encoder.onnx", "decoder_prefill.onnx", "decoder_step.onnx", "texts.npy"} <= {*left}
    (folder / "text_encoder.onnx").chmod(0o000)
    assert work(folder) == first


def test_single_texts_are_not_kept_and_no_text_is_written(folder: Path) -> None:
    engine = Engine(load_bundle(folder), "cpu")
    engine.embed_texts(["what only this user asks"])
    engine.embed_texts(PROMPTS)
    kept = [path for path in (folder / FOLDER).glob("*/*") if path.suffix != ".onnx"]
    assert len(list((folder / FOLDER).glob("*/texts.npy"))) == 1
    assert not any(b"arousal" in path.read_bytes() for path in kept)


@pytest.mark.parametrize("damage", [b"", b"not what it was"])
def test_damaged_files_are_done_anew(folder: Path, damage: bytes) -> None:
    first = work(folder)
    for path in (folder / FOLDER).glob("*/*"):
        path.write_bytes(damage)
    assert work(folder) == first
    assert all(json.loads(path.read_text()) for path in (folder / FOLDER).glob("*/digests.json"))


def test_a_bundle_that_cannot_be_written_uses_the_users_cache(folder: Path, tmp_path: Path) -> None:
    (folder / FOLDER).write_text("a file where the folder would be")
    first = work(folder)
    assert len(list((tmp_path / "cache").glob("models/*/digests.json"))) == 5
    assert work(folder) == first


def test_nowhere_to_write_is_no_failure(folder: Path, tmp_path: Path) -> None:
    (folder / FOLDER).write_text("no folder")
    (tmp_path / "cache").write_text("no folder")
    assert len(work(folder)) == 4


def test_another_version_finds_nothing_and_a_half_written_folder_has_no_name(folder: Path) -> None:
    bundle = load_bundle(folder)
    kept = KeptFiles(bundle, "cpu", "1.0")
    with kept.writing("graph") as place:
        assert place is not None
        (place / "a").write_text("x")
        assert kept.find("graph") is None
    assert kept.find("graph") is not None
    assert KeptFiles(bundle, "cpu", "1.1").find("graph") is None
    with pytest.raises(RuntimeError), kept.writing("other") as place:
        raise RuntimeError
    assert kept.find("other") is None
    assert not list((folder / FOLDER).glob(".part-*"))


def test_two_writers_of_one_name_leave_one(folder: Path) -> None:
    kept = KeptFiles(load_bundle(folder), "cpu", "1.0")
    with kept.writing("graph") as one, kept.writing("graph") as other:
        assert one is not None
        assert other is not None
        (one / "a").write_text("x")
        (other / "a").write_text("x")
    found = kept.find("graph")
    assert found is not None
    assert (found / "a").read_text() == "x"


def test_what_a_replaced_model_left_goes_with_the_next_start(folder: Path) -> None:
    work(folder)
    before = {path.name for path in (folder / FOLDER).iterdir()}
    described = folder / "bundle.json"
    described.write_text(described.read_text().replace("made by tests", "made anew by tests"))
    work(folder)
    after = {path.name for path in (folder / FOLDER).iterdir()}
    assert len(after) == len(before)
    assert not after & before


def test_the_users_cache_keeps_what_was_used_last(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "MOST", 3)
    (folder / FOLDER).write_text("no folder")
    files = KeptFiles(load_bundle(folder), "cpu", "1")
    rows = np.zeros((1, 2), np.float32)
    for age, name in enumerate("abc"):
        files.keep_texts([name], rows)
        os.utime(files.find(kept._texts_name([name])) or tmp_path, (age, age))
    assert files.texts(["a"]) is not None  # used now
    files.keep_texts(["d"], rows)
    assert [files.texts([name]) is not None for name in "abcd"] == [True, False, True, True]


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of file sizes")
def test_a_disk_without_room_changes_nothing_but_the_next_start(folder: Path) -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (700, limits[1]))
    try:
        without_room = work(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert work(folder) == without_room
    assert work(folder) == without_room


def test_eight_starts_at_once_give_the_same(folder: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, [folder] * 8))
    assert all(one == found[0] for one in found)
    assert all(kept._is_whole(path) for path in (folder / FOLDER).iterdir())
