"""The night model: trained on a few studies, put into a bundle, read by the runtime as torch reads it."""

from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch

from core.errors import UsageError
from export.night import course_example, course_graph
from export.verify import verify
from training.course import CourseConfig, CourseNet, round_to_half
from training.night import load_part


def network() -> CourseNet:
    torch.manual_seed(0)
    net = CourseNet(CourseConfig(inputs=6, outputs=3, width=16, dilations=(1, 4), members=2))
    for _ in range(3):  # running means and variances off their first values
        net.train()(torch.randn(4, 50, 6) * 3 + 1)
    return net.eval().requires_grad_(False)


def test_the_graph_gives_torchs_scores_at_any_length(tmp_path: Path) -> None:
    net, path = network(), tmp_path / "night.onnx"
    ir.save(course_graph("night_stages", net), path)
    assert verify(course_example("night_stages", net), path, 300) < 1e-5


def test_rounded_weights_take_half_the_bytes_and_give_the_same_scores(tmp_path: Path) -> None:
    net, whole, half = network(), tmp_path / "whole.onnx", tmp_path / "half.onnx"
    ir.save(course_graph("night_stages", net), whole)
    round_to_half(net)
    ir.save(course_graph("night_stages", net), half)
    assert verify(course_example("night_stages", net), half, 300) < 1e-5
    weights = sum(p.numel() for name, p in net.named_parameters() if p.dim() == 3)
    assert whole.stat().st_size - half.stat().st_size == pytest.approx(2 * weights, abs=5000)  # names of the casts


def test_a_night_is_read_alike_alone_and_among_others(tmp_path: Path) -> None:
    path = tmp_path / "night.onnx"
    ir.save(course_graph("night_stages", network()), path)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    features = np.random.default_rng(0).standard_normal((3, 70, 6)).astype(np.float32)
    (together,) = session.run(None, {"features": features})
    (alone,) = session.run(None, {"features": features[1:2]})
    assert together[1].tobytes() == alone[0].tobytes()


def test_a_folder_that_is_no_night_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="train --night"):
        load_part(tmp_path, "stages")
