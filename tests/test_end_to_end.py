"""The whole road with the model that ships, on a simulated night and on real recordings."""

import json
from pathlib import Path

import numpy as np
import pyedflib
import pytest
from safetensors.numpy import load_file

from core.language.read_back import read_back
from tests.sleepcli.conftest import Command, sleepcli_in

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
PARITY = SHARED.with_name("parity")
UCDDB_MICROVOLTS = 100.0
"""Plausible µV in one unit of UCDDB's undocumented scale (the data's README)."""
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="real recordings are not on this machine")


@pytest.fixture
def sleepcli(tmp_path: Path) -> Command:
    return sleepcli_in(tmp_path)


def captions(folder: Path, study: str) -> list[dict[str, dict[str, str]]]:
    return [json.loads(line) for line in (folder / f"{study}.captions.jsonl").read_text().splitlines()]


def test_demo_leaves_the_files_of_the_contract(sleepcli: Command, tmp_path: Path) -> None:
    result = sleepcli("demo", "--hours", "0.5", "--out", "demo")
    assert result.returncode == 0, result.stderr
    folder = tmp_path / "demo"
    names = {path.name for path in folder.iterdir()}
    files = {f"demo.{kind}" for kind in ("captions.jsonl", "stages.csv", "summary.json", "embeddings.npy")}
    assert {*files, "run.json", "run.csv", "night"} <= names
    assert {path.name for path in (folder / "night").iterdir()} == {"demo.edf", "demo.stages.csv", "demo.truth.json"}
    assert len(captions(folder, "demo")) == 60
    assert np.load(folder / "demo.embeddings.npy").shape[0] == 60
    assert json.loads((folder / "run.json").read_text())["studies"][0]["outcome"] == "done"


def test_every_figure_of_a_caption_is_a_measurement(sleepcli: Command, tmp_path: Path) -> None:
    assert sleepcli("simulate", "--out", "nights", "--hours", "0.5", "--seed", "5").returncode == 0
    result = sleepcli("caption", "nights/night00005.edf", "--no-scoring", "--out", "captions")
    assert result.returncode == 0, result.stderr
    told = 0
    for row in captions(tmp_path / "captions", "night00005"):
        for domain, text in row["captions"].items():
            facts = read_back(text, domain)
            assert not facts.unparsed, text
            for name, value in facts.values.items():
                assert value == pytest.approx(row["measurements"][name], abs=1e-6), text
                told += 1
    assert told > 60


@needs_shared
def test_real_clip_says_what_is_missing(sleepcli: Command, tmp_path: Path) -> None:
    result = sleepcli("caption", SHARED / "edf" / "sleep_edf_clip.edf", "--out", "captions")
    assert result.returncode == 0, result.stderr
    rows = captions(tmp_path / "captions", "sleep_edf_clip")
    assert len(rows) == 10
    for row in rows:
        assert {name for name, state in row["channels"].items() if state == "missing"} >= {"ECG", "ABD", "THX", "SPO2"}
        for domain, words in (("cardiac", ("ECG", "oximeter")), ("respiration", ("abdominal", "thoracic"))):
            assert "missing" in row["captions"][domain]
            assert all(word in row["captions"][domain] for word in words)
        assert not any(letter.isdigit() for letter in row["captions"]["cardiac"])


@needs_shared
def test_one_real_eeg_is_staged_epoch_by_epoch(sleepcli: Command, tmp_path: Path) -> None:
    with np.load(SHARED / "ucddb_eeg" / "ucddb022.npz") as night:
        signal = night["sig"].ravel() * float(night["scale"])
        rate = int(night["fs"])
    path = tmp_path / "ucddb022.edf"
    with pyedflib.EdfWriter(str(path), 1, file_type=pyedflib.FILETYPE_EDF) as writer:
        limits = {"physical_min": -400.0, "physical_max": 400.0, "digital_min": -32768, "digital_max": 32767}
        writer.setSignalHeader(0, {"label": "EEG C4-A1", "dimension": "uV", "sample_frequency": rate, **limits})
        writer.writeSamples([np.clip((signal - np.median(signal)) * UCDDB_MICROVOLTS, -399, 399)])
    result = sleepcli("stage", path, "--out", "stages")
    assert result.returncode == 0, result.stderr
    rows = (tmp_path / "stages" / "ucddb022.stages.csv").read_text().splitlines()[1:]
    assert len(rows) == 722
    given = [row.split(",")[3] for row in rows]
    assert set(given) >= {"W", "N2", "N3", "R"}
    assert given.count("?") < len(given) / 10


@needs_shared
def test_published_checkpoint_embeds_as_published(sleepcli: Command, tmp_path: Path) -> None:
    published = load_file(PARITY / "sleeplm_tiny_a" / "expected.safetensors")
    np.save(tmp_path / "epochs.npy", published["signals"])
    checkpoint = PARITY / "sleeplm_tiny_a" / "model_checkpoint.pt"
    sizes = PARITY / "sleeplm_tiny_a" / "config.json"
    imported = sleepcli("models", "import", checkpoint, "--config", sizes, "--out", "bundle")
    assert imported.returncode == 0, imported.stderr
    assert sleepcli("embed", "epochs.npy", "--model", "bundle", "--out", "out").returncode == 0
    embeddings = np.load(tmp_path / "out" / "epochs.embeddings.npy")
    np.testing.assert_allclose(embeddings, published["signal_features"], atol=1e-3)
    refused = sleepcli("stage", "epochs.npy", "--model", "bundle")
    assert refused.returncode != 0
    assert "tokenizer" in refused.stderr
