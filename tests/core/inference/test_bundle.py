import json
from pathlib import Path

import pytest

from core.errors import ModelError
from core.inference.bundle import installed_models, load_bundle
from tests.core.inference.fake_bundle import write_fake_bundle


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_fake_bundle(tmp_path / "models" / "fake")


def test_a_bundle_is_the_same_whoever_makes_it(folder: Path, tmp_path: Path) -> None:
    other = write_fake_bundle(tmp_path / "again")
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == {
        file.name: file.read_bytes() for file in other.iterdir()
    }
    assert load_bundle(folder).content_hash == load_bundle(other).content_hash


def test_a_model_of_the_users_folder_is_found_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLEEPCLI_MODELS", str(folder.parent))
    assert installed_models()["fake"] == folder
    assert load_bundle("fake").folder == folder


def test_the_data_folder_of_the_platform_is_looked_at(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLEEPCLI_MODELS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    write_fake_bundle(tmp_path / "data" / "sleepcli" / "models" / "mine")
    assert "mine" in installed_models()


def test_an_unknown_name_gets_a_suggestion(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLEEPCLI_MODELS", str(folder.parent))
    with pytest.raises(ModelError, match="Did you mean fake") as error:
        load_bundle("fakee")
    assert error.value.exit_code == 2


def test_a_folder_without_a_description_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not a model"):
        load_bundle(tmp_path)


@pytest.mark.parametrize("name", ["signal_encoder.onnx", "decoder_step.onnx", "tokenizer.json"])
def test_one_changed_byte_is_found(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match=f"damaged: {name}"):
        load_bundle(folder)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "text_encoder.onnx").unlink()
    with pytest.raises(ModelError, match=r"text_encoder\.onnx is missing"):
        load_bundle(folder)


@pytest.mark.parametrize("outside", ["../secret.onnx", "/etc/hostname"])
def test_a_path_outside_the_folder_is_refused(folder: Path, outside: str) -> None:
    change(folder, lambda facts: facts["graphs"]["signal_encoder"].update(file=outside))
    with pytest.raises(ModelError, match="outside its folder"):
        load_bundle(folder)


def test_a_link_that_leaves_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    real = folder / "signal_encoder.onnx"
    real.rename(tmp_path / "elsewhere.onnx")
    real.symlink_to(tmp_path / "elsewhere.onnx")
    with pytest.raises(ModelError, match="outside its folder"):
        load_bundle(folder)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (b"", "no readable bundle.json"),
        (b'{"format": 2', "no readable bundle.json"),
        (b"[]", "bundle format None"),
        (b'{"format": 99}', "bundle format 99"),
        (b'{"format": 2}', "incomplete or wrong"),
        (b"\xff\xfe\x00", "no readable bundle.json"),
    ],
)
def test_a_broken_description_is_one_sentence(folder: Path, broken: bytes, words: str) -> None:
    (folder / "bundle.json").write_bytes(broken)
    with pytest.raises(ModelError, match=words):
        load_bundle(folder)


def test_staging_constants_must_be_for_five_stages(folder: Path) -> None:
    change(folder, lambda facts: facts["staging"].update(prior=[0.5, 0.5]))
    with pytest.raises(ModelError, match="five stages"):
        load_bundle(folder)


def change(folder: Path, edit) -> None:
    facts = json.loads((folder / "bundle.json").read_text())
    edit(facts)
    (folder / "bundle.json").write_text(json.dumps(facts))
