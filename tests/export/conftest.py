"""One run folder and one imported checkpoint, exported once for all tests of this folder."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from core.language.describe import DOMAINS
from core.language.tokenizer import train_tokenizer
from export.import_checkpoint import ImportOptions, import_checkpoint
from export.publish import ExportEvent, ExportOptions, export_run
from training.config import preset
from training.model import SleepLM

PARITY = Path(__file__).resolve().parents[2].parent / "shared" / "parity" / "sleeplm_tiny_a"
PRIOR = [0.2] * 5


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What training leaves: weights, description, tokenizer; the weights are random."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    folder.mkdir()
    torch.manual_seed(11)
    config = preset("tiny")
    save_file({k: v.contiguous() for k, v in SleepLM(config).state_dict().items()}, folder / "model.safetensors")
    meta = {
        "config": config.to_json(),
        "domains": list(DOMAINS),
        "slots": True,
        "staging": {"temperature": 9.0, "prior": PRIOR, "transitions": [PRIOR] * 5},
        "training": {"steps": 0},
    }
    (folder / "meta.json").write_text(json.dumps(meta))
    train_tokenizer(["The subject is in REM sleep."] * 3, 400, config.context_length).save(folder / "tokenizer.json")
    return folder


@pytest.fixture(scope="session")
def exported(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[ExportEvent]]:
    """The bundle of the run folder and the events of its export."""
    out = tmp_path_factory.mktemp("bundles") / "tiny"
    return out, list(export_run(run_folder, out, ExportOptions()))


@pytest.fixture(scope="session")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of the published network at toy size."""
    if not PARITY.is_dir():
        pytest.skip("../shared/parity is not here")
    out = tmp_path_factory.mktemp("imported") / "sleeplm-tiny"
    list(import_checkpoint(PARITY / "model_checkpoint.pt", out, ImportOptions(config=PARITY / "config.json")))
    return out
