"""The options that several commands share, written once."""

from pathlib import Path
from typing import Annotated

import typer

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
    typer.Option("--model", "-m", metavar="NAME|DIR", envvar="SLEEPCLI_MODEL", help="Model bundle, by name or folder."),
]
Device = Annotated[
    str, typer.Option("--device", metavar="auto|cpu|cuda", help="Where the model runs; auto takes CUDA if it is there.")
]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="DIR", help="Folder for the files; without it nothing is written."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON Lines also on a terminal.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Studies worked on at the same time.")]
OnError = Annotated[
    str, typer.Option("--on-error", metavar="continue|abort", help="What to do after a study that fails.")
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
