"""From a run folder to a bundle: what is in it, what is refused, and that nothing half is left."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from core.errors import ModelError, UsageError
from core.inference.bundle import load_bundle
from core.inference.decoding import DecodeOptions, greedy
from core.inference.engine import Engine
from export.publish import ExportEvent, ExportOptions, export_run, load_model
from training.config import preset
from training.model import SleepLM

GRAPHS = {"signal_encoder", "text_encoder", "decoder_prefill", "decoder_step", "reconstruction"}
Exported = tuple[Path, list[ExportEvent]]


def test_every_step_is_told_and_the_bundle_comes_last(exported: Exported) -> None:
    folder, events = exported
    assert {event.graph for event in events if event.step == "built"} == GRAPHS
    verified = {event.graph: event.difference for event in events if event.step == "verified"}
    assert verified.keys() == GRAPHS
    assert all(difference is not None and difference < 1e-4 for difference in verified.values())
    assert (events[-1].step, events[-1].folder) == ("published", folder)
    assert json.loads((folder / "bundle.json").read_text())["verification"] == verified


def test_the_bundle_describes_every_file_of_it(exported: Exported) -> None:
    folder, _ = exported
    description = json.loads((folder / "bundle.json").read_text())
    files = [description["tokenizer"], description["weights"], *description["graphs"].values()]
    there = {path.name for path in folder.iterdir() if not path.name.startswith(".")}  # graphs that a run kept
    assert there == {"bundle.json", *(entry["file"] for entry in files)}
    for entry in files:
        content = (folder / entry["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
        assert len(content) == entry["bytes"]
    assert description["channels"] == list(preset("tiny").channels)
    assert description["slots"] is True
    assert description["has_present_input"] is True
    assert description["staging"]["temperature"] == 9.0
    assert description["training"] == {"training": {"steps": 0}}


def test_the_runtime_reads_the_bundle(exported: Exported) -> None:
    bundle = load_bundle(exported[0])
    assert set(bundle.graphs) == GRAPHS
    assert bundle.embed_dim == preset("tiny").embed_dim
    assert bundle.tokenizer is not None


def test_graphs_are_valid_onnx_with_free_axes_and_no_trace_of_the_machine(exported: Exported) -> None:
    folder, _ = exported
    for name in GRAPHS:
        path = folder / f"{name}.onnx"
        onnx.checker.check_model(path)
        assert str(Path.cwd()).encode() not in path.read_bytes()
        assert b"site-packages" not in path.read_bytes()
        for value in onnx.load(path, load_external_data=False).graph.input:
            shape = [dim.dim_param for dim in value.type.tensor_type.shape.dim]
            assert {"batch", "texts"} & {*shape} or value.name in ("token_bias", "decoder_tokens")


def test_graphs_share_their_weights(exported: Exported) -> None:
    with torch.device("meta"):
        parameters = sum(p.numel() for p in SleepLM(preset("tiny")).parameters())
    assert (exported[0] / "weights.bin").stat().st_size < 4 * parameters * 1.05


def test_cached_captions_in_onnx_equal_the_uncached_network(exported: Exported, run_folder: Path) -> None:
    engine = Engine(load_bundle(exported[0]), "cpu")
    model = load_model(run_folder / "model.safetensors", preset("tiny"))
    signals = np.random.default_rng(2).standard_normal((3, 11, 1920)).astype(np.float32)
    _, tokens = engine.encode(signals)
    domain, ids = np.array([0, 2, 4]), np.ones((3, 1), np.int64)
    state = engine.decoder.start(tokens, np.arange(3), domain, 40)
    for position in range(20):
        scores = engine.decoder.step(state, ids[:, -1:], np.full(3, position), logits=True)
        with torch.no_grad():
            rows = model.encode_text(torch.from_numpy(ids))[1]
            expected = model.decode(rows, torch.from_numpy(tokens), torch.from_numpy(domain))[:, -1]
        assert scores.logits is not None
        np.testing.assert_allclose(scores.logits[:, 0], expected.numpy(), atol=1e-4)
        assert np.array_equal(expected.argmax(dim=-1), scores.token[:, 0])
        np.testing.assert_allclose(scores.chance[:, 0], expected.softmax(dim=-1).amax(dim=-1), rtol=1e-4)
        ids = np.concatenate((ids, scores.token), axis=1)


def test_the_runtime_writes_what_the_network_does(exported: Exported, run_folder: Path) -> None:
    engine = Engine(load_bundle(exported[0]), "cpu")
    model = load_model(run_folder / "model.safetensors", preset("tiny"))
    signals = np.random.default_rng(6).standard_normal((2, 11, 1920)).astype(np.float32)
    _, tokens = engine.encode(signals)
    written = greedy(engine, tokens, [1, 4], DecodeOptions(max_tokens=12))
    for row, domain in enumerate((1, 4)):
        ids = torch.tensor([[1, *written[row].ids.tolist()]])
        with torch.no_grad():
            logits = model.decode(
                model.encode_text(ids)[1], torch.from_numpy(tokens[row : row + 1]), torch.tensor([domain])
            )
        assert logits[0, :-1].argmax(dim=-1).tolist() == ids[0, 1:].tolist()
    prompt = engine.embed_texts(["REM sleep"])
    with torch.no_grad():
        expected, _ = model.encode_text(torch.from_numpy(engine.tokenizer.encode(["REM sleep"])))
    np.testing.assert_allclose(prompt, expected.numpy(), atol=1e-5)


def test_an_epoch_encodes_alike_alone_and_in_a_batch(exported: Exported) -> None:
    session = ort.InferenceSession(exported[0] / "signal_encoder.onnx")
    rng = np.random.default_rng(4)
    feeds = {"signals": rng.standard_normal((4, 11, 1920)).astype(np.float32), "present": np.ones((4, 11), np.float32)}
    together, _ = session.run(None, feeds)
    alone, _ = session.run(None, {name: array[2:3] for name, array in feeds.items()})
    np.testing.assert_allclose(alone[0], together[2], atol=1e-6)


@pytest.mark.parametrize("lost", ["model.safetensors", "meta.json", "tokenizer.json"])
def test_an_incomplete_run_is_refused(run_folder: Path, tmp_path: Path, lost: str) -> None:
    run = shutil.copytree(run_folder, tmp_path / "run")
    (run / lost).unlink()
    with pytest.raises(ModelError, match=lost):
        list(export_run(run, tmp_path / "out"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_weights_of_another_network_are_refused(run_folder: Path, tmp_path: Path) -> None:
    run = shutil.copytree(run_folder, tmp_path / "run")
    meta = json.loads((run / "meta.json").read_text())
    meta["config"]["width"] = 64
    (run / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(ModelError, match="not those of the network"):
        list(export_run(run, tmp_path / "out"))
    (run / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(ModelError, match="missing or damaged"):
        list(export_run(run, tmp_path / "out"))


def test_a_folder_with_other_things_is_never_replaced(run_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not a bundle"):
        list(export_run(run_folder, tmp_path))
    assert (tmp_path / "precious.txt").read_text() == "mine"


def test_unknown_options_and_folders_are_usage_errors(run_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no precision 'int3'.*fp32, fp16, mixed, int8"):
        list(export_run(run_folder, tmp_path / "out", ExportOptions(precision="int3")))
    with pytest.raises(UsageError, match="no run folder"):
        list(export_run(tmp_path / "absent", tmp_path / "out"))
