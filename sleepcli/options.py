"""The options that several commands share, written once."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer


def one_of(*words: str) -> Callable[[str], list[str]]:
    """Give the completion of an option that takes one of some words."""
    return lambda incomplete: [word for word in words if word.startswith(incomplete)]


def model_names(incomplete: str) -> list[str]:
    """Complete the name of an installed model."""
    from core.inference.bundle import installed_models

    return [name for name in installed_models() if name.startswith(incomplete)]


def imported_names(incomplete: str) -> list[str]:
    """Complete the name of a model that did not come with the program."""
    from core.inference.bundle import installed_models, user_models_folder

    own = user_models_folder()
    return [name for name, folder in installed_models().items() if folder.parent == own and name.startswith(incomplete)]


Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="PATHS...",
        help="Studies: EDF or BDF files, other formats that mne reads, prepared .psg studies, .npy arrays, "
        "folders, globs, or - for a list on standard input.",
    ),
]
Model = Annotated[
    str,
    typer.Option(
        "--model", "-m", metavar="NAME|DIR", autocompletion=model_names, help="Model bundle, by name or folder."
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="auto|cpu|cuda",
        autocompletion=one_of("auto", "cpu", "cuda"),
        help="Where the model runs; auto takes CUDA if it is there.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="DIR", help="Folder for the files; without it nothing is written."),
]
Report = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="DIR", help="Folder for run.json and run.csv, and what a rerun goes on from."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON Lines also on a terminal.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Studies worked on at the same time.")]
OnError = Annotated[
    str,
    typer.Option(
        "--on-error",
        metavar="continue|abort",
        autocompletion=one_of("continue", "abort"),
        help="What to do after a study that fails.",
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", metavar="SECONDS", min=0.1, help="Give a study up that takes longer; the others go on."),
]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Try again what failed in an earlier run and has not changed.")
]
Cluster = Annotated[
    str | None,
    typer.Option("--cluster", metavar="tcp://HOST:PORT|slurm", help="Work on a Dask cluster, or as jobs of Slurm."),
]
Measured = Annotated[
    bool, typer.Option("--measured", help="Write from the measurements and the scoring alone, without a model.")
]
ScoringFile = Annotated[
    Path | None,
    typer.Option("--scoring", metavar="FILE", help="Human scoring of the study; found beside it by itself."),
]
NoScoring = Annotated[bool, typer.Option("--no-scoring", help="Do not use a scoring found beside the study.")]
LightsOff = Annotated[
    str | None, typer.Option("--lights-off", metavar="TIME", help="HH:MM[:SS] by the clock, or seconds from the start.")
]
LightsOn = Annotated[
    str | None, typer.Option("--lights-on", metavar="TIME", help="HH:MM[:SS] by the clock, or seconds from the start.")
]
MontageFile = Annotated[
    Path | None,
    typer.Option("--montage", metavar="FILE", help="TOML file that says which signal is which channel."),
]
StudyId = Annotated[
    str | None, typer.Option("--study-id", metavar="NAME", help="Name for the study in all outputs (one study only).")
]
Batch = Annotated[
    int, typer.Option("--batch", min=0, help="Epochs in one call of the model; 0: as the device likes it.")
]
Seed = Annotated[int, typer.Option("--seed", "-s", help="Same seed, same result.")]
