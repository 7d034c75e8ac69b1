"""`sleepcli train`: a model from prepared studies."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sleepcli import options, ui
from sleepcli.extras import training_room
from sleepcli.model import about_model, model_choice
from sleepcli.run import RunOptions, finish, run_studies

if TYPE_CHECKING:
    from training.progress import TrainEvent

PER_MILLE = 1000
MINUTE, HOUR = 60, 3600


def train(
    stores: Annotated[
        list[Path], typer.Argument(metavar="STORE...", help="Prepared .psg studies, or folders of them.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="RUN", help="Run folder; a run there is resumed.")],
    preset: Annotated[
        str | None,
        typer.Option("--preset", metavar="NAME", help="tiny, nano, small, base or sleeplm-base.", show_default="nano"),
    ] = None,
    max_steps: Annotated[
        int | None, typer.Option("--max-steps", min=0, help="Optimizer steps; 0: no limit.", show_default="0")
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option("--max-minutes", min=0, help="Minutes; 0: no limit.", show_default="0")
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            "--recipe", metavar="FILE", help="TOML file with any option of a run: loss weights, sampler, augmentation."
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", min=2, help="Epochs in a batch, over all GPUs.", show_default="64")
    ] = None,
    accumulate: Annotated[
        int | None, typer.Option("--accumulate", min=1, help="Batches in an optimizer step.", show_default="1")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="Peak learning rate.", show_default="0.001")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            "--precision",
            metavar="auto|fp32|bf16",
            autocompletion=options.one_of("auto", "fp32", "bf16"),
            help="auto: bf16 on a GPU that has it, else fp32.",
            show_default="auto",
        ),
    ] = None,
    compiled: Annotated[
        bool | None,
        typer.Option("--compile/--no-compile", help="Compile the network; minutes at the start.", show_default="no"),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            metavar="auto|cpu|cuda",
            autocompletion=options.one_of("auto", "cpu", "cuda"),
            help="auto takes CUDA if it is there.",
            show_default="auto",
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=0, help="CPU threads; 0: all.", show_default="0")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", "-s", help="Same seed, same result.", show_default="0")] = None,
    held_out: Annotated[
        float | None,
        typer.Option("--held-out", min=0, help="Share of the subjects held out for validation.", show_default="0.1"),
    ] = None,
    subject_separator: Annotated[
        str | None,
        typer.Option("--subject-separator", help="A study's subject is its name up to this; without it: the name."),
    ] = None,
    checkpoint_minutes: Annotated[
        float | None,
        typer.Option("--checkpoint-minutes", min=0, help="Minutes between checkpoints.", show_default="5"),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option("--patience", min=0, help="End after so many validations without a better one; 0: never."),
    ] = None,
    tensorboard: Annotated[
        bool | None, typer.Option("--tensorboard/--no-tensorboard", help="Write TensorBoard files too.")
    ] = None,
    night: Annotated[
        bool,
        typer.Option("--night", help="Train the night model instead: stages and events from the course of a night."),
    ] = False,
    tracks: Annotated[
        Path | None,
        typer.Option("--tracks", metavar="DIR", help="With --night: band-power tracks of scored nights (.npz) too."),
    ] = None,
    adapt: Annotated[
        str | None,
        typer.Option("--adapt", metavar="NAME|DIR", help="Adapt this model to the scored studies instead; no torch."),
    ] = None,
    shots: Annotated[
        int, typer.Option("--shots", min=0, help="With --adapt: epochs of each stage to learn from; 0: all scored.")
    ] = 0,
    json: options.Json = False,
) -> None:
    """Train a model on prepared studies; the same command resumes a run that was stopped.

    Subjects are split, never epochs: no subject is on both sides.
    With --night, a small model learns stages and events from whole nights; sleepcli export --night adds it to a bundle.

    [bold]Examples[/]

      sleepcli prepare nights/ --out prepared --jobs 2

      sleepcli train prepared --preset nano --out runs/first --max-minutes 60

      sleepcli train prepared --recipe lab.toml --out runs/lab

      sleepcli export runs/first --out models/first

      sleepcli train prepared --night --out runs/night

      sleepcli train scored/ --adapt nano --shots 30 --out models/ours
    """
    if adapt is not None:
        return _adapt(adapt, stores, out, (shots, seed or 0, subject_separator or ""), json)
    if night:
        return _train_night(stores, out, tracks, (held_out, subject_separator, seed, threads), json)
    apart = ("recipe", "json", "stores", "night", "tracks", "adapt", "shots")
    given = {name: value for name, value in locals().items() if name not in (*apart, "apart")}
    with training_room("train"):
        from training.loop import train as train_events
        from training.recipe import options_of, read_recipe
    wishes = options_of(read_recipe(recipe) if recipe else {}, {**given, "stores": tuple(stores)})
    _follow(train_events(wishes), json)


def _adapt(model: str, stores: list[Path], out: Path, wishes: tuple[int, int, str], json: bool) -> None:
    """Fit a stage head to scored studies and write a bundle that has it."""
    from core.inference.adaptation import AdaptOptions, GatherTask, adapt
    from core.inference.tasks import Reading

    options = AdaptOptions(shots=wishes[0], seed=wishes[1], separator=wishes[2])
    choice = model_choice(model, "auto", 0, 1)
    task = GatherTask(choice, Reading(), options.separator, [])
    about = about_model(choice, {})
    rows = run_studies(task, [str(store) for store in stores], RunOptions("train", about=about), lambda _: None)
    if task.found:
        figures = adapt(task.found, choice.engine().bundle, out, options)
        if ui.wants_json(json):
            ui.json_lines([{"model": str(out), **figures}])
        kappa = f", Cohen's kappa {figures['kappa']:.3f} across subjects" if "kappa" in figures else ""
        ui.note(
            f"Fitted to {figures['epochs']} epochs of {figures['studies']} studies{kappa}. Use it with --model {out}."
        )
    finish(rows)


def _train_night(
    stores: list[Path],
    out: Path,
    tracks: Path | None,
    common: tuple[float | None, str | None, int | None, int | None],
    json: bool,
) -> None:
    """Train the night model and tell its figures."""
    with training_room("train"):
        import torch

        from training.night import NightOptions, train_night
        from training.night_events import EventOptions
        from training.night_stages import StageOptions
    held_out, separator, seed, threads = common
    if threads:
        torch.set_num_threads(threads)
    wishes = NightOptions(
        tuple(stores),
        out,
        tracks=tracks,
        subject_separator=separator or "",
        stages=StageOptions(seed=seed or 0),
        events=EventOptions(seed=seed or 0),
    )
    if held_out is not None:
        wishes = replace(wishes, held_out=held_out)
    with ui.progress("measuring the studies", PER_MILLE) as bar:
        for event in train_night(wishes):
            bar.show(f"{event.part}", PER_MILLE * event.progress)
            if event.progress == 1.0 and event.part != "done" and event.figures:
                ui.note(f"{event.part}: {event.figures}")
            elif event.part == "done" and ui.wants_json(json):
                ui.json_lines([{"run": str(out), **event.figures}])
    ui.note(f"Done. Next: sleepcli export MODEL --night {out} --out NEW_MODEL")


def _follow(events: Iterable["TrainEvent"], json: bool) -> None:
    """Show what a run tells while it goes on; of several processes only the first one talks."""
    from training.progress import Started

    talks = True
    with ui.progress("opening the studies", PER_MILLE) as bar:
        for event in events:
            if isinstance(event, Started):
                talks = event.rank == 0
            if talks:
                _show(event, bar, json)


def _show(event: "TrainEvent", bar: ui.Bar, json: bool) -> None:
    from training.progress import Done, Started, TrainStep, Validation

    if isinstance(event, TrainStep):
        terms = " ".join(f"{name} {value:.3f}" for name, value in event.losses.items())
        speed = f"{event.epochs_per_second:.0f} epochs/s, {_time(event.eta_seconds)} left"
        bar.show(f"step {event.step}: {terms}, {speed}", PER_MILLE * event.progress)
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


def _time(seconds: float) -> str:
    """Give a time to the end as people say it."""
    if seconds >= HOUR:
        return f"{seconds / HOUR:.1f} h"
    return f"{seconds / MINUTE:.0f} min" if seconds >= MINUTE else f"{seconds:.0f} s"
