"""The options of `sleepcli train`; most have no default of their own, so that a recipe's value stands."""

from pathlib import Path
from typing import Annotated

import typer

from sleepcli import options

Stores = Annotated[list[Path], typer.Argument(metavar="STORE...", help="Prepared .psg studies, or folders of them.")]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="RUN", help="Run folder; a run there is resumed.")]
Preset = Annotated[
    str | None,
    typer.Option("--preset", metavar="NAME", help="tiny, nano, small, base or sleeplm-base.", show_default="nano"),
]
MaxSteps = Annotated[
    int | None, typer.Option("--max-steps", metavar="N", min=0, help="Optimizer steps.", show_default="no limit")
]
MaxMinutes = Annotated[
    float | None,
    typer.Option("--max-minutes", metavar="N", min=0, help="Minutes of training.", show_default="no limit"),
]
Recipe = Annotated[
    Path | None,
    typer.Option("--recipe", metavar="FILE", help="TOML file with any option of a run; flags go first."),
]
Start = Annotated[
    Path | None,
    typer.Option("--start", metavar="RUN|BUNDLE", help="Fine-tune: begin with the weights of this run or bundle."),
]
Tower = Annotated[
    Path | None,
    typer.Option(
        "--tower", metavar="RUN|BUNDLE", help="Take this one's signal tower as it is; learn all that comes after it."
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option("--batch-size", metavar="N", min=2, help="Epochs in a batch, over all GPUs.", show_default="64"),
]
Accumulate = Annotated[
    int | None,
    typer.Option("--accumulate", metavar="N", min=1, help="Batches in an optimizer step.", show_default="1"),
]
LearningRate = Annotated[
    float | None, typer.Option("--learning-rate", metavar="N", help="Peak learning rate.", show_default="0.001")
]
Precision = Annotated[
    str | None,
    typer.Option(
        "--precision",
        metavar="auto|fp32|bf16",
        autocompletion=options.one_of("auto", "fp32", "bf16"),
        help="auto: bf16 on a GPU that has it, else fp32.",
        show_default="auto",
    ),
]
Compiled = Annotated[
    bool | None,
    typer.Option("--compile", help="Compile the signal tower; minutes at the start.", show_default="no"),
]
Sharded = Annotated[
    bool | None,
    typer.Option(
        "--fsdp", help="With torchrun: spread weights and optimizer state over the processes.", show_default="no"
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="auto|cpu|cuda",
        autocompletion=options.one_of("auto", "cpu", "cuda"),
        help="auto takes CUDA if it is there.",
        show_default="auto",
    ),
]
Threads = Annotated[int | None, typer.Option("--threads", metavar="N", min=0, help="CPU threads.", show_default="all")]
Seed = Annotated[
    int | None, typer.Option("--seed", "-s", metavar="N", help="Same seed, same result.", show_default="0")
]
HeldOut = Annotated[
    float | None,
    typer.Option(
        "--held-out", metavar="N", min=0, help="Share of the subjects held out for validation.", show_default="0.1"
    ),
]
WithoutEvent = Annotated[
    list[str] | None,
    typer.Option(
        "--without-event",
        metavar="TYPE",
        help="Hold an event type out of training, to look for it as unseen; may be given again.",
    ),
]
SubjectSeparator = Annotated[
    str | None,
    typer.Option(
        "--subject-separator", metavar="TEXT", help="A study's subject is its name up to this; without it: the name."
    ),
]
CheckpointMinutes = Annotated[
    float | None,
    typer.Option("--checkpoint-minutes", metavar="N", min=0, help="Minutes between checkpoints.", show_default="5"),
]
Patience = Annotated[
    int | None,
    typer.Option(
        "--patience",
        metavar="N",
        min=0,
        help="Validations without a better one that end the run.",
        show_default="never",
    ),
]
Tensorboard = Annotated[
    bool | None,
    typer.Option("--tensorboard", help="Write TensorBoard files too.", show_default="no"),
]
Night = Annotated[
    bool,
    typer.Option("--night", help="Train the night model instead: stages and events from the course of a night."),
]
Tracks = Annotated[
    Path | None,
    typer.Option("--tracks", metavar="DIR", help="With --night: band-power tracks of scored nights (.npz) too."),
]
Partial = Annotated[
    Path | None,
    typer.Option("--partial", metavar="DIR", help="With --night: nights with the EEG of some epochs (.npz) too."),
]
Adapt = Annotated[
    str | None,
    typer.Option("--adapt", metavar="NAME|DIR", help="Adapt this model to the scored studies instead; no torch."),
]
Shots = Annotated[
    int, typer.Option("--shots", min=0, help="With --adapt: epochs of each stage to learn from; 0: all scored.")
]
