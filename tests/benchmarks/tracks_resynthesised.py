"""Staging of signals that were made from the band powers of real nights, by networks that never saw their subjects.

    python tests/benchmarks/tracks_resynthesised.py RUN FOLDER_OF_TRACKS --nights 20

RUN is the folder of `sleepcli train --night` whose networks ship in the model: of its members, each night is staged by
the one that left the night's subject out. The night is simulated along the track, written as EDF with one EEG and
nothing else, read back and staged; the truth is the human scoring of the real night.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from core.batch import StudyInput  # noqa: E402
from core.inference.figures import interval_by_subject, stage_indices, staging_figures  # noqa: E402
from core.inference.tasks import Reading  # noqa: E402
from core.psg.simulate.montage import CLEAN, WriteMontage  # noqa: E402
from core.psg.simulate.night import NightOptions, simulate_night  # noqa: E402
from core.psg.simulate.write_edf import write_night  # noqa: E402
from training.night import load_part, members_without  # noqa: E402
from training.night_stages import stage_scores  # noqa: E402
from training.scored_courses import of_study  # noqa: E402

SEED = 930000
EEG = WriteMontage(signals=tuple(row for row in CLEAN.signals if row.channel == "EEG_C4"))


def main() -> None:
    """Stage nights of as many subjects as were asked for, one a subject."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("tracks", type=Path)
    parser.add_argument("--nights", type=int, default=20)
    options = parser.parse_args()
    loaded = load_part(options.run, "stages")
    if loaded is None:
        parser.error("the run has no stage network")
    net, meta = loaded
    firsts = {path.stem.split("__")[0]: path for path in sorted(options.tracks.glob("*.npz"), reverse=True)}
    paths = [firsts[name] for name in sorted(firsts)][:: max(1, len(firsts) // options.nights)][: options.nights]
    subjects, truths, answers = [], [], []
    for index, path in enumerate(paths):
        subject = f"track{path.stem.split('__')[0]}"
        members = members_without(meta, subject)
        if not members:
            parser.error(f"{subject} was no part of the run")
        night = simulate_night(SEED + index, NightOptions(hours=24.0, track=path))
        with tempfile.TemporaryDirectory() as folder:
            file = write_night(night, Path(folder), "night", EEG)
            study = Reading(look_for_scoring=False).open(StudyInput(file, "night"), ("EEG_C3", "EEG_C4"))
            truth = stage_indices([row.stage for row in night.truth.epochs])[: study.n_epochs]
            course = of_study(study, subject, truth)
            scores = stage_scores(net.only(members), course, list(range(len(course.eegs))), with_eog=False)
        subjects += [subject] * len(truth)
        truths.append(truth)
        answers.append(scores.argmax(axis=1))
        print(f"{path.stem}: kappa {staging_figures(truth, answers[-1]).kappa:.3f}", flush=True)
    real, given = np.concatenate(truths), np.concatenate(answers)
    low, high = interval_by_subject(subjects, lambda rows: staging_figures(real[rows], given[rows]).kappa)
    kappa = staging_figures(real, given).kappa
    print(f"{len(paths)} subjects, {len(real)} epochs: kappa {kappa:.3f} ({low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
