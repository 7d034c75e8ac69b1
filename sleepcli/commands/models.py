"""`sleepcli models`: the models on this machine, and the published checkpoint made into one."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from core.errors import SleepcliError, UsageError
from sleepcli import options, ui
from sleepcli.extras import training_room

models = typer.Typer(no_args_is_help=True, help="List, show, import and remove models.")
Name = Annotated[str, typer.Argument(metavar="NAME|DIR", help="Name of an installed model, or a bundle's folder.")]


@models.command("list")
def list_models(json: options.Json = False) -> None:
    """List the installed models.

    [bold]Examples[/]

      sleepcli models list
    """
    from core.inference.bundle import installed_models, load_bundle

    rows = []
    for name, folder in installed_models().items():
        try:
            bundle = load_bundle(folder)
            row = {"name": name, "kind": bundle.kind, "channels": len(bundle.channels), "precision": bundle.precision}
            rows.append({**row, "sha256": bundle.content_hash, "folder": str(folder)})
        except SleepcliError as error:
            ui.warn(error.message)
    if ui.wants_json(json):
        ui.json_lines(rows)
    else:
        columns = ("name", "kind", "channels", "precision", "sha256")
        ui.table("Models", columns, ([str(row[column])[:12] for column in columns] for row in rows))


@models.command("show")
def show_model(name: Name, json: options.Json = False) -> None:
    """Show what a model is: its channels, sizes, verification and training.

    [bold]Examples[/]

      sleepcli models show nano
    """
    from core.inference.bundle import load_bundle

    bundle = load_bundle(name)
    if ui.wants_json(json):
        ui.json_lines([{**bundle.description, "sha256": bundle.content_hash}])
        return
    for entry, value in bundle.description.items():
        ui.paragraph(f"{entry}: {value}")
    card = bundle.folder / "MODEL_CARD.md"
    if card.is_file():
        ui.paragraph(card.read_text(encoding="utf-8"))


@models.command("import")
def import_model(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="A published SleepLM model_checkpoint.pt.")],
    name: Annotated[str | None, typer.Option("--name", help="Install it under this name.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="DIR", help="Or write it to this folder.")] = None,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="JSON with sizes, which the tensors must confirm.")
    ] = None,
    merges: Annotated[
        Path | None, typer.Option("--merges", metavar="FILE", help="CLIP's merge table, bpe_simple_vocab_16e6.txt.gz.")
    ] = None,
) -> None:
    """Make a bundle of a published SleepLM checkpoint; nothing pickled in it is executed.

    [bold]Examples[/]

      sleepcli models import model_checkpoint.pt --name sleeplm-base

      sleepcli caption study.edf --model sleeplm-base
    """
    from core.inference.bundle import user_models_folder

    if (name is None) == (out is None):
        raise UsageError("Say where the model goes.", "Give either --name or --out.")
    if not checkpoint.is_file():
        raise UsageError(f"There is no checkpoint {checkpoint}.", "Check the path.")
    with training_room("models import"):
        from export.import_checkpoint import ImportOptions, import_checkpoint
        from export.publish import ExportOptions
    folder = out if out is not None else user_models_folder() / _plain(str(name))
    wishes = ImportOptions(config, merges, ExportOptions(name or folder.name))
    with ui.progress("importing", None) as bar:
        for event in import_checkpoint(checkpoint, folder, wishes):
            bar.show(f"{event.step} {event.graph}")
            if event.difference is not None:
                ui.note(f"{event.graph}: differs from torch by {event.difference:.1e} at most")
    ui.note(f"Model in {folder}: use it with --model {name or folder}.")


@models.command("remove")
def remove_model(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model that was imported on this machine.")],
) -> None:
    """Remove an imported model; those that ship with the program stay.

    [bold]Examples[/]

      sleepcli models remove sleeplm-base
    """
    from core.inference.bundle import installed_models, user_models_folder

    folder = user_models_folder() / _plain(name)
    if not folder.is_dir():
        known = ", ".join(key for key, path in installed_models().items() if path.parent == user_models_folder())
        raise UsageError(f"There is no imported model {name!r}.", f"Imported models: {known or 'none'}.")
    shutil.rmtree(folder)
    ui.note(f"{folder} is removed.")


def _plain(name: str) -> str:
    if not name or name != Path(name).name or name.startswith("."):
        raise UsageError(f"{name!r} is no name for a model.", "Use letters, digits, - and _.")
    return name
