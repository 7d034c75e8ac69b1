"""`sleepcli train`: a model from prepared studies."""

import os
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from signal import SIGINT, SIGTERM
from typing import TYPE_CHECKING, Any

import typer

from sleepcli import options, ui
from sleepcli import train_options as given
from sleepcli.extras import training_room
from sleepcli.interrupts import Wish, one_of_several
from sleepcli.model import about_model, model_choice
from sleepcli.run import RunOptions, finish, run_studies

if TYPE_CHECKING:
    from training.progress import TrainEvent

PER_MILLE = 1000
MINUTE, HOUR = 60, 3600


def train(
    stores: given.Stores,
    out: given.Out,
    preset: given.Preset = None,
    max_steps: given.MaxSteps = None,
    max_minutes: given.MaxMinutes = None,
    recipe: given.Recipe = None,
    start: given.Start = None,
    tower: given.Tower = None,
    batch_size: given.BatchSize = None,
    accumulate: given.Accumulate = None,
    learning_rate: given.LearningRate = None,
    precision: given.Precision = None,
    compiled: given.Compiled = None,
    sharded: given.Sharded = None,
    device: given.Device = None,
    threads: given.Threads = None,
    seed: given.Seed = None,
    held_out: given.HeldOut = None,
    without_event: given.WithoutEvent = None,
    subject_separator: given.SubjectSeparator = None,
    checkpoint_minutes: given.CheckpointMinutes = None,
    patience: given.Patience = None,
    tensorboard: given.Tensorboard = None,
    night: given.Night = False,
    tracks: given.Tracks = None,
    partial: given.Partial = None,
    adapt: given.Adapt = None,
    shots: given.Shots = 0,
    json: options.Json = False,
) -> None:
    """Train a model on prepared studies; the same command resumes a run that was stopped.

    Subjects are split, never epochs: no subject is on both sides.
    With --night, a small model learns stages and events from whole nights; sleepcli export --night adds it to a bundle.

    [bold]Examples[/]

      sleepcli prepare nights/ --out prepared --jobs 2

      sleepcli train prepared --preset nano --out runs/first --max-minutes 60

      sleepcli train prepared --recipe lab.toml --out runs/lab

      sleepcli train prepared --without-event arousal --max-steps 500 --out runs/x

      sleepcli train ours --start runs/first --learning-rate 2e-4 --out runs/ours

      sleepcli export runs/first --out models/first

      sleepcli train prepared --night --out runs/night

      sleepcli train scored/ --adapt nano --shots 30 --out models/ours
    """
    if adapt is not None:
        return _adapt(adapt, stores, out, (shots, seed or 0, subject_separator or ""), json)
    if night:
        return _train_night(recipe, locals(), json)
    _train_network(recipe, locals(), json)


def _train_network(recipe: Path | None, words: dict[str, Any], json: bool) -> None:
    """Train a network with a recipe and with the options of the command line that are a run's."""
    with training_room("train"):
        from training.loop import train as train_events
        from training.options import TrainOptions
        from training.recipe import options_of, read_recipe
    known = {field.name for field in fields(TrainOptions)}
    ours = {name: value for name, value in words.items() if name in known}
    ours["without_events"] = tuple(words["without_event"]) if words["without_event"] else None
    wishes = options_of(read_recipe(recipe) if recipe else {}, {**ours, "stores": tuple(words["stores"])})
    wish = Wish()
    _follow(train_events(wishes, wish), wish, json)


def _adapt(model: str, stores: list[Path], out: Path, wishes: tuple[int, int, str], json: bool) -> None:
    """Fit a stage head to scored studies and write a bundle that has it."""
    from core.inference.adaptation import AdaptOptions, GatherTask, adapt
    from core.inference.tasks import Reading

    options = AdaptOptions(shots=wishes[0], seed=wishes[1], separator=wishes[2])
    choice = model_choice(model, "auto", 0, 1)
    task = GatherTask(choice, Reading(), options.separator, [])
    about = about_model(choice, {})
    rows = run_studies(
        task, [str(store) for store in stores], RunOptions("train", about=about, all_or_none=True), lambda _: None
    )
    if task.found:
        figures = adapt(task.found, choice.engine().bundle, out, options)
        if ui.wants_json(json):
            ui.json_lines([{"model": str(out), **figures}])
        kappa = f", Cohen's kappa {figures['kappa']:.3f} across subjects" if "kappa" in figures else ""
        ui.note(
            f"Fitted to {figures['epochs']} epochs of {figures['studies']} studies{kappa}. Use it with --model {out}."
        )
    finish(rows)


def _train_night(recipe: Path | None, words: dict[str, Any], json: bool) -> None:
    """Train the night model and tell its figures; a recipe for it has the fields of `NightOptions`."""
    with training_room("train"):
        import torch

        from training.night import NightOptions, train_night
        from training.recipe import read_recipe
    if words["threads"]:
        torch.set_num_threads(words["threads"])
    known = {field.name for field in fields(NightOptions)}
    ours = {name: value for name, value in words.items() if name in known and value is not None}
    read = read_recipe(recipe, NightOptions) if recipe else {}
    wishes = NightOptions(**{**read, **ours, "stores": tuple(words["stores"])})
    if words["seed"] is not None:
        seed = words["seed"]
        wishes = replace(wishes, stages=replace(wishes.stages, seed=seed), events=replace(wishes.events, seed=seed))
    with ui.progress("measuring the studies", PER_MILLE) as bar:
        for event in train_night(wishes):
            bar.show(event.part, PER_MILLE * event.progress)
            if event.part != "done" and event.figures:
                _tell_figures(event.part, event.figures)
            elif event.part == "done" and ui.wants_json(json):
                ui.json_lines([{"run": str(wishes.out), **event.figures}])
    ui.note(f"Done. Next: sleepcli export MODEL --night {wishes.out} --out NEW_MODEL")


def _tell_figures(part: str, figures: Mapping[str, Any]) -> None:
    """One line a figure: of stages by how they were judged, of events by type."""
    judged = {name: row for name, row in figures.items() if name != "cross-validated"}
    for name, row in {**figures.get("cross-validated", {}), **judged}.items():
        told = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in row.items())
        ui.note(f"{part}, {name}: {told}")


def _follow(events: Iterable["TrainEvent"], wish: Wish, json: bool) -> None:
    """Show what a run tells while it goes on; of several processes only the first one talks."""
    from training.progress import Started, Stopped

    talks = True
    with ExitStack() as held, ui.progress("opening the studies", PER_MILLE) as bar:
        for event in events:
            if isinstance(event, Started):
                talks = event.rank == 0
                held.enter_context(wish.heard(partial(_tell_of_the_end, bar, talks), (SIGINT, SIGTERM)))
            if talks:
                _show(event, bar, json)
            if isinstance(event, Stopped):
                raise typer.Exit(wish.code)


def _tell_of_the_end(bar: ui.Bar, talks: bool) -> None:
    """Say that a run ends after its step; called by a signal, so it prints nothing through others."""
    if not talks:
        return
    at_once = "" if one_of_several() else "; Ctrl-C again stops at once"
    if ui.is_watched():
        bar.show(f"saving after this step{at_once}")
    else:
        os.write(2, f"Saving after this step{at_once}.\n".encode())


def _show(event: "TrainEvent", bar: ui.Bar, json: bool) -> None:
    from training.progress import Done, Started, Stopped, TrainStep, Validation

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
    elif isinstance(event, Stopped):
        ui.note(f"Stopped after {event.step} steps, saved in {event.run}; the same command goes on from there.")
    elif isinstance(event, Done):
        if ui.wants_json(json):
            ui.json_lines([{"run": str(event.run), "steps": event.step, "reason": event.reason, **event.figures}])
        ui.note(f"Done after {event.step} steps ({event.reason}). Next: sleepcli export {event.run} --out MODEL")


def _time(seconds: float) -> str:
    """Give a time to the end as people say it."""
    if seconds >= HOUR:
        return f"{seconds / HOUR:.1f} h"
    return f"{seconds / MINUTE:.0f} min" if seconds >= MINUTE else f"{seconds:.0f} s"
