from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from core.errors import ModelError, UsageError
from core.inference.bundle import load_bundle
from core.inference.engine import Engine
from tests.core.inference.fake_bundle import CHANNELS, EMBED, QUERIES, SAMPLES, WIDTH, write_fake_bundle


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fake_bundle(tmp_path_factory.mktemp("models") / "fake")


@pytest.fixture(scope="module")
def signals() -> np.ndarray:
    return np.random.default_rng(5).standard_normal((21, len(CHANNELS), SAMPLES)).astype(np.float32)


def test_shapes_and_unit_length(folder: Path, signals: np.ndarray) -> None:
    embeddings, tokens = Engine(load_bundle(folder), "cpu").encode(signals)
    assert embeddings.shape == (21, EMBED)
    assert tokens.shape == (21, QUERIES, WIDTH)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1.0, rtol=1e-5)


def test_batch_and_threads_change_no_byte(folder: Path, signals: np.ndarray) -> None:
    bundle = load_bundle(folder)
    results = [Engine(bundle, "cpu", batch, threads).encode(signals) for batch, threads in ((1, 1), (4, 2), (64, 1))]
    assert len({embeddings.tobytes() for embeddings, _ in results}) == 1
    assert len({tokens.tobytes() for _, tokens in results}) == 1


def test_an_absent_channel_is_masked(folder: Path, signals: np.ndarray) -> None:
    engine = Engine(load_bundle(folder), "cpu")
    present = np.ones((21, len(CHANNELS)), np.float32)
    present[:, 3] = 0.0
    other = signals.copy()
    other[:, 3] = 7.0
    assert np.array_equal(engine.encode(signals, present)[0], engine.encode(other, present)[0])
    assert not np.array_equal(engine.encode(signals)[0], engine.encode(signals, present)[0])


def test_without_a_mask_signals_reach_the_model_unchanged(folder: Path, signals: np.ndarray) -> None:
    bundle = load_bundle(folder)
    engine = Engine(bundle, "cpu")
    unmasked = Engine(replace(bundle, has_present_input=False), "cpu")
    seen: list[np.ndarray] = []
    session = engine._sessions.get("signal_encoder")

    class WithoutMask:
        def run(self, names: list[str], feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
            seen.append(feeds["signals"])
            return session.run(names, {**feeds, "present": np.ones((3, len(CHANNELS)), np.float32)})

    unmasked._sessions._open["signal_encoder"] = WithoutMask()
    absent = np.ones((3, len(CHANNELS)), np.float32)
    absent[:, [0, 9]] = 0.0
    unmasked.encode(signals[:3], absent)
    assert np.array_equal(seen[0], signals[:3])


def test_filling_a_batch_up_changes_no_embedding(
    folder: Path, signals: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(load_bundle(folder), "cpu")
    plain = engine.encode(signals)
    monkeypatch.setattr(engine, "fixed_shapes", True)  # as on CUDA
    filled = engine.encode(signals)
    assert np.array_equal(plain[0], filled[0])
    assert np.array_equal(plain[1], filled[1])
    assert engine.embed_texts(["one", "two"]).shape == (2, EMBED)


def test_no_epochs_give_no_rows(folder: Path) -> None:
    engine = Engine(load_bundle(folder), "cpu")
    embeddings, tokens = engine.encode(np.zeros((0, len(CHANNELS), SAMPLES), np.float32))
    assert embeddings.shape == (0, EMBED)
    assert len(tokens) == 0


def test_texts_keep_their_order_and_are_embedded_alone(folder: Path) -> None:
    engine = Engine(load_bundle(folder), "cpu", batch=2)
    texts = ["deep sleep", "an arousal", "deep sleep", "rem"]
    together = engine.embed_texts(texts)
    assert np.array_equal(together[0], together[2])
    for text, row in zip(texts, together, strict=True):
        assert np.array_equal(Engine(load_bundle(folder), "cpu").embed_texts([text])[0], row)
    assert engine.embed_texts([]).shape == (0, EMBED)


def test_wrong_channels_are_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match="takes epochs of shape"):
        Engine(load_bundle(folder), "cpu").encode(np.zeros((1, 3, SAMPLES), np.float32))


def test_an_unknown_device_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="no device 'tpu'"):
        Engine(load_bundle(folder), "tpu")


def test_cuda_is_used_or_refused_and_auto_says_what_it_does(folder: Path, signals: np.ndarray) -> None:
    bundle = load_bundle(folder)
    engine = Engine(bundle, "auto")
    engine.encode(signals[:1])
    if engine.device == "cuda":
        assert engine.device_note == ""
        assert Engine(bundle, "cuda").device == "cuda"
    else:
        assert engine.device_note.startswith("CPU is used: ")
        with pytest.raises(UsageError, match="CUDA cannot be used") as error:
            Engine(bundle, "cuda")
        assert error.value.exit_code == 2


def test_a_graph_that_onnx_runtime_refuses_is_one_sentence(folder: Path, tmp_path: Path, capfd) -> None:
    copy = write_fake_bundle(tmp_path / "copy")
    bundle = load_bundle(copy)
    (copy / "signal_encoder.onnx").write_bytes(b"not a graph")  # damaged after the check
    with pytest.raises(ModelError, match=r"signal encoder of the model .* cannot be loaded"):
        Engine(bundle, "cpu").encode(np.zeros((1, len(CHANNELS), SAMPLES), np.float32))
    assert capfd.readouterr() == ("", "")


def test_a_model_without_a_tokenizer_embeds_signals_only(folder: Path, signals: np.ndarray) -> None:
    bundle = load_bundle(folder)
    mute = type(bundle)(**{**bundle.__dict__, "tokenizer": None})
    engine = Engine(mute, "cpu")
    assert not engine.writes
    assert engine.encode(signals[:2])[0].shape == (2, EMBED)
    with pytest.raises(ModelError, match="has no tokenizer"):
        engine.embed_texts(["sleep"])


def test_providers_are_those_of_the_device(folder: Path, signals: np.ndarray) -> None:
    engine = Engine(load_bundle(folder), "cpu")
    engine.encode(signals[:1])
    assert engine.device == "cpu"
    assert "CPUExecutionProvider" in ort.get_available_providers()
