"""Models on this machine: listed, shown, taken in, removed; asked for by name, folder or variable."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.sleepcli.conftest import Command
from tests.sleepcli.test_commands import assert_one_sentence, lines
from training.config import preset
from training.model import SleepLM
from training.sleeplm import to_published


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty folder of the user's own models."""
    path = tmp_path / "own-models"
    monkeypatch.setenv("SLEEPCLI_MODELS", str(path))
    return path


def test_a_bundle_is_installed_used_listed_and_removed(
    program: Command, model: Path, study: Path, folder: Path
) -> None:
    by_folder = program("stage", study, "--model", model)
    assert program("models", "import", model, "--name", "mine").returncode == 0
    assert {path.name for path in (folder / "mine").iterdir()} <= {path.name for path in model.iterdir()}
    by_name = program("stage", study, "--model", "mine")
    assert by_name.returncode == 0, by_name.stderr
    assert by_name.stdout == by_folder.stdout
    listed = {row["name"]: row for row in lines(program("models", "list"))}
    assert (listed["mine"]["from"], listed["nano"]["from"]) == ("imported", "sleepcli")
    assert listed["mine"]["sha256"] == json.loads(program("models", "show", "mine").stdout)["sha256"]
    assert program("models", "remove", "mine").returncode == 0
    assert not (folder / "mine").exists()
    assert_one_sentence(program("models", "remove", "mine"), 2, "mine")


def test_only_what_belongs_to_the_bundle_is_copied(program: Command, model: Path, folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for path in (path for path in model.iterdir() if path.is_file()):
        (source / path.name).write_bytes(path.read_bytes())
    (source / "patients.xlsx").write_text("not for copying")
    assert program("models", "import", source, "--name", "mine").returncode == 0
    assert not (folder / "mine" / "patients.xlsx").exists()


def test_a_damaged_bundle_is_not_taken_and_is_told_in_the_list(
    program: Command, model: Path, folder: Path, tmp_path: Path
) -> None:
    assert program("models", "import", model, "--name", "mine").returncode == 0
    graph = next((folder / "mine").glob("signal_encoder*"))
    graph.write_bytes(graph.read_bytes() + b"x")
    result = program("models", "list")
    assert result.returncode == 0
    assert "damaged" in result.stderr
    assert "mine" not in {row["name"] for row in lines(result)}
    assert_one_sentence(program("models", "import", folder / "mine", "--name", "again"), 2, "damaged")
    assert not (folder / "again").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("import", "nowhere.pt", "--name", "x"), ("nowhere.pt",)),
        (("import", "."), ("--name", "--out")),
        (("import", ".", "--name", "../x"), ("../x",)),
        (("remove", "nano"), ("nano", "ships")),
        (("remove", "nono"), ("nono",)),
    ],
)
def test_wrong_usage_is_one_sentence(
    program: Command, folder: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    assert_one_sentence(program("models", *arguments), 2, *words)


def test_an_unknown_model_suggests_a_known_one(program: Command, study: Path) -> None:
    assert_one_sentence(program("stage", study, "--model", "nanno"), 2, "nanno", "Did you mean nano?")


def test_names_are_completed(folder: Path, program: Command, model: Path) -> None:
    from sleepcli.options import imported_names, model_names, one_of

    assert program("models", "import", model, "--name", "night-model").returncode == 0
    assert model_names("n") == ["nano", "night-model"]
    assert model_names("na") == ["nano"]
    assert imported_names("n") == ["night-model"]
    assert one_of("auto", "cpu", "cuda")("c") == ["cpu", "cuda"]


def test_a_published_checkpoint_is_taken_in_int8_and_what_that_changes_is_told(
    program: Command, study: Path, folder: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    sizes = {"width": 16, "heads": 2, "conv_width": 8, "patch_size": 96, "embed_dim": 8, "decoder_tokens": 3}
    short = {"signal_blocks": 1, "text_layers": 1, "decoder_layers": 1, "context_length": 12, "vocab_size": 40}
    state = to_published(SleepLM(replace(preset("sleeplm-base"), **sizes, **short)))
    checkpoint = tmp_path / "model_checkpoint.pt"
    torch.save({"state_dict": {name: tensor.contiguous() for name, tensor in state.items()}}, checkpoint)
    result = program("models", "import", checkpoint, "--name", "small", "--precision", "int8", "--least-agreement", 0)
    assert result.returncode == 0, result.stderr
    assert "int8 against float32 on a simulated night" in result.stderr
    shown = json.loads((folder / "small" / "bundle.json").read_text())
    assert shown["precision"] == "int8"
    assert shown["precision_agreement"]["embedding_cosine_mean"] > 0.99
    assert len(lines(program("embed", study, "--model", "small"))) > 0
    refused = program("models", "import", folder / "small", "--name", "again", "--precision", "mixed")
    assert_one_sentence(refused, 2, "precision")
    assert not (folder / "again").exists()
