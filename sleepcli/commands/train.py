"""`sleepcli train`: a model from prepared studies."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sleepcli import options, ui
from sleepcli.extras import training_room

if TYPE_CHECKING:
    from training.progress import TrainEvent

PER_MILLE = 1000


def train(
    stores: Annotated[
        list[Path], typer.Argument(metavar="STORE...", help="Prepared .psg studies, or folders of them.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="RUN", help="Run folder; a run there is resumed.")],
    preset: Annotated[str, typer.Option("--preset", metavar="NAME", help="tiny, nano, small, base.")] = "nano",
    max_steps: Annotated[int, typer.Option("--max-steps", min=0, help="Optimizer steps; 0: no limit.")] = 0,
    max_minutes: Annotated[float, typer.Option("--max-minutes", min=0, help="Minutes; 0: no limit.")] = 0.0,
    batch_size: Annotated[int, typer.Option("--batch-size", min=2, help="Epochs in a batch.")] = 64,
    learning_rate: Annotated[float, typer.Option("--learning-rate", help="Peak learning rate.")] = 1e-3,
    device: options.Device = "auto",
    seed: options.Seed = 0,
    threads: Annotated[int, typer.Option("--threads", min=0, help="CPU threads; 0: all.")] = 0,
    subject_separator: Annotated[
        str, typer.Option("--subject-separator", help="A study's subject is its name up to this; empty: the name.")
    ] = "",
    json: options.Json = False,
) -> None:
    """Train a model on prepared studies; the same command resumes a run that was stopped.

    Subjects are split, never epochs: no subject is on both sides.

    [bold]Examples[/]

      sleepcli prepare nights/ --out prepared --jobs 2

      sleepcli train prepared --preset nano --out runs/first --max-minutes 60

      sleepcli export runs/first --out models/first
    """
    with training_room("train"):
        from training.loop import train as train_events
        from training.options import TrainOptions
    wishes = TrainOptions(
        tuple(stores),
        out,
        preset=preset,
        max_steps=max_steps,
        max_minutes=max_minutes,
        batch_size=batch_size,
        learning_rate=learning_rate,
        device=device,
        seed=seed,
        threads=threads,
        subject_separator=subject_separator,
    )
    with ui.progress("opening the studies", PER_MILLE) as bar:
        for event in train_events(wishes):
            _show(event, bar, json)


def _show(event: "TrainEvent", bar: ui.Bar, json: bool) -> None:
    from training.progress import Done, Started, TrainStep, Validation

    if isinstance(event, TrainStep):
        terms = " ".join(f"{name} {value:.3f}" for name, value in event.losses.items())
        bar.show(f"step {event.step}: {terms}, {event.epochs_per_second:.0f} epochs/s", PER_MILLE * event.progress)
    elif isinstance(event, Started):
        subjects = f"{event.training_subjects} subjects to learn from, {event.validation_subjects} held out"
        at = f", resumed at step {event.step}" if event.step else ""
        ui.note(f"{event.parameters:,} parameters on {event.device}; {event.epochs} epochs, {subjects}{at}.")
    elif isinstance(event, Validation):
        figures = ", ".join(f"{name} {value:.3f}" for name, value in event.figures.items())
        ui.note(f"step {event.step}: held-out {figures}{' (best)' if event.best else ''}")
    elif isinstance(event, Done):
        if ui.wants_json(json):
            ui.json_lines([{"run": str(event.run), "steps": event.step, "reason": event.reason, **event.figures}])
        ui.note(f"Done after {event.step} steps ({event.reason}). Next: sleepcli export {event.run} --out MODEL")
