"""Staging of a real night from one EEG: UCDDB 022, which no part of the shipped model was trained or chosen on.

    python tests/benchmarks/real_night.py ../shared/data/ucddb_eeg/ucddb022.npz --model nano

The kept epochs are written as an EDF with one signal (gaps closed up, (value - median) × 100 µV), staged as the program
does it, and compared with the human scoring; intervals are 95 % bootstrap over blocks of 20 epochs of this one night.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyedflib

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from core.batch import StudyInput  # noqa: E402
from core.inference.bundle import load_bundle  # noqa: E402
from core.inference.engine import Engine  # noqa: E402
from core.inference.figures import interval_by_subject, stage_indices, staging_figures  # noqa: E402
from core.inference.staging import stage_study, staging_channels  # noqa: E402
from core.inference.tasks import Reading  # noqa: E402
from core.psg.scoring import STAGES  # noqa: E402

CODES = {0: 0, 1: 4, 2: 1, 3: 2, 4: 3, 5: 3}  # W, R, S1, S2, S3, S4
BLOCK = 20


def write_edf(night: Path, path: Path) -> np.ndarray:
    """Write the EEG and give the stages of its epochs, −1 where not scored."""
    data = np.load(night)
    values = data["sig"].astype(np.float64).ravel() * float(data["scale"])
    microvolts = (values - np.median(values)) * 100
    rate = int(data["fs"])
    limit = float(np.ceil(np.abs(microvolts).max()))
    with pyedflib.EdfWriter(str(path), 1, file_type=pyedflib.FILETYPE_EDFPLUS) as writer:
        header = {"label": "EEG C3-A2", "dimension": "uV", "sample_frequency": rate, "prefilter": "", "transducer": ""}
        limits = {"physical_max": limit, "physical_min": -limit, "digital_max": 32767, "digital_min": -32768}
        writer.setSignalHeaders([header | limits])
        writer.writeSamples([microvolts])
    return np.array([CODES.get(int(code), -1) for code in data["stage"][data["epoch"]]])


def main() -> None:
    """Stage the night and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("night", type=Path)
    parser.add_argument("--model", default="nano")
    options = parser.parse_args()
    bundle = load_bundle(options.model)
    engine = Engine(bundle, "cpu")
    with tempfile.TemporaryDirectory() as folder:
        truth = write_edf(options.night, Path(folder) / "night.edf")
        item = StudyInput(Path(folder) / "night.edf", "night")
        study = Reading(look_for_scoring=False).open(item, staging_channels(engine))
        staging = stage_study(study, engine)
    given = stage_indices(staging.stages)[: len(truth)]
    figures = staging_figures(truth, given)
    blocks = [str(epoch // BLOCK) for epoch in range(len(truth))]
    low, high = interval_by_subject(blocks, lambda rows: staging_figures(truth[rows], given[rows]).kappa)
    assert staging.probabilities is not None
    sure = float(np.nanmean(np.nanmax(staging.probabilities, axis=1)))
    print(f"model {bundle.name} {bundle.content_hash[:12]}, {int((truth >= 0).sum())} scored epochs")
    print(f"kappa {figures.kappa:.3f} ({low:.3f} to {high:.3f}), accuracy {figures.accuracy:.3f}")
    print(f"mean probability {sure:.3f}")
    print(f"rows truth {' '.join(STAGES)}, columns given, then ?")
    print(figures.confusion)


if __name__ == "__main__":
    main()
