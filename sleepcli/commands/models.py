"""`sleepcli models`: the models on this machine, and others made or taken into one."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import SleepcliError, UsageError
from sleepcli import options, ui
from sleepcli.exporting import LeastAgreement, Precision, follow_export
from sleepcli.extras import training_room

if TYPE_CHECKING:
    from core.inference.bundle import Bundle

CARD = "MODEL_CARD.md"
COLUMNS = ("name", "kind", "channels", "precision", "MB", "sha256", "from")
SHORT_HASH = 12
Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME|DIR",
        help="Name of an installed model, or a bundle's folder.",
        autocompletion=options.model_names,
    ),
]
Imported = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="A model that was imported on this machine.", autocompletion=options.imported_names
    ),
]


def list_models(json: options.Json = False) -> None:
    """List the installed models; a damaged one is told on standard error.

    [bold]Examples[/]

      sleepcli models list

      sleepcli models list --json
    """
    from core.inference.bundle import installed_models, load_bundle

    rows = []
    for name, folder in installed_models().items():
        try:
            rows.append(_row(name, load_bundle(folder)))
        except SleepcliError as error:
            ui.warn(f"{error.message} {error.hint}")
    if ui.wants_json(json):
        ui.json_lines(rows)
        return
    cells = ([row[column] for column in COLUMNS[:-2]] + [row["sha256"][:SHORT_HASH], row["from"]] for row in rows)
    ui.table("Models", COLUMNS, cells)
    ui.note("--model takes a name or a folder; without it SLEEPCLI_MODEL or a configuration file says, else nano.")


def _row(name: str, bundle: "Bundle") -> dict[str, Any]:
    from core.inference.bundle import user_models_folder

    size = sum(path.stat().st_size for path in bundle.folder.iterdir() if path.is_file())
    return {
        "name": name,
        "kind": bundle.kind,
        "channels": len(bundle.channels),
        "precision": bundle.precision,
        "MB": round(size / 1e6, 1),
        "sha256": bundle.content_hash,
        "from": "imported" if bundle.folder.parent == user_models_folder().resolve() else "sleepcli",
        "folder": str(bundle.folder),
    }


def show_model(name: Name, json: options.Json = False) -> None:
    """Show what a model is: its channels, abilities, verification, training and card.

    [bold]Examples[/]

      sleepcli models show nano

      sleepcli models show nano --json
    """
    from core.inference.bundle import load_bundle

    bundle = load_bundle(name)
    if ui.wants_json(json):
        ui.json_lines([{**bundle.description, "sha256": bundle.content_hash, "folder": str(bundle.folder)}])
        return
    ui.table(f"Model {bundle.name}", ("what", "found"), _facts(bundle))
    card = bundle.folder / CARD
    if card.is_file():
        ui.document(card.read_text(encoding="utf-8"))


def _facts(bundle: "Bundle") -> list[tuple[str, str]]:
    about = bundle.description
    epoch = bundle.samples / bundle.rate
    text = f"up to {bundle.context_length} tokens" if bundle.tokenizer is not None else "none: it embeds signals only"
    return [
        ("kind", bundle.kind),
        ("channels", ", ".join(bundle.channels)),
        ("epoch", f"{epoch:g} s at {bundle.rate} Hz"),
        ("embedding", f"{bundle.embed_dim} dimensions"),
        ("text", text),
        ("caption domains", ", ".join(bundle.domains)),
        ("numbers", "measured, in the slots that it leaves" if bundle.slots else "written by the model, then checked"),
        ("precision", bundle.precision),
        ("largest difference from torch", _differences(about.get("verification") or {})),
        ("training", _training(about.get("training") or {})),
        ("made with", ", ".join(f"{package} {number}" for package, number in (about.get("versions") or {}).items())),
        ("sha256", bundle.content_hash),
        ("folder", str(bundle.folder)),
    ]


def _differences(verification: Mapping[str, Any]) -> str:
    return ", ".join(f"{graph} {value:.0e}" for graph, value in verification.items() if isinstance(value, float))


def _training(training: Mapping[str, Any]) -> str:
    plain = {name: value for name, value in training.items() if isinstance(value, str | int | bool)}
    return ", ".join(f"{name} {value}" for name, value in plain.items())


def import_model(
    checkpoint: Annotated[
        Path,
        typer.Argument(metavar="CHECKPOINT", help="A published model_checkpoint.pt, or the folder of a bundle."),
    ],
    name: Annotated[str | None, typer.Option("--name", help="Install it under this name.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="DIR", help="Or write it to this folder.")] = None,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="JSON with sizes, which the tensors must confirm.")
    ] = None,
    merges: Annotated[
        Path | None, typer.Option("--merges", metavar="FILE", help="CLIP's merge table, bpe_simple_vocab_16e6.txt.gz.")
    ] = None,
    precision: Precision = "fp32",
    least_agreement: LeastAgreement = 0.9,
) -> None:
    """Make a bundle of a published SleepLM checkpoint, or install a bundle from elsewhere.

    Nothing pickled in a checkpoint is executed. A bundle is checked and copied, which needs no torch.

    [bold]Examples[/]

      sleepcli models import model_checkpoint.pt --name sleeplm-base

      sleepcli models import model_checkpoint.pt --name small --precision int8

      sleepcli models import models/mine --name mine

      sleepcli caption study.edf --model sleeplm-base
    """
    from core.inference.bundle import user_models_folder

    if (name is None) == (out is None):
        raise UsageError("Say where the model goes.", "Give either --name or --out.")
    if not checkpoint.exists():
        raise UsageError(f"There is no checkpoint {checkpoint}.", "Check the path.")
    folder = out if out is not None else user_models_folder() / _plain(str(name))
    if checkpoint.is_dir():
        if precision != "fp32":
            raise UsageError(
                f"{checkpoint} is a bundle, whose precision stays.", "Import the checkpoint or export the run it is of."
            )
        _copy_bundle(checkpoint, folder)
    else:
        _convert(checkpoint, folder, (config, merges), (name or folder.name, precision, least_agreement))
    ui.note(f"Model in {folder}: use it with --model {name or folder}.")


def _copy_bundle(source: Path, folder: Path) -> None:
    """Copy the files of a sound bundle; those that do not belong to it stay behind."""
    from core.files import whole_folder
    from core.inference.bundle import DESCRIPTION_FILE, load_bundle

    bundle = load_bundle(source.resolve())
    if folder.resolve() == bundle.folder:
        raise UsageError(f"{source} is that model already.", "Give another --name or --out.")
    entries = (*bundle.description["graphs"].values(), bundle.description.get("tokenizer"))
    beside = (bundle.description.get("weights"), bundle.description.get("trainable"))
    files = {str(entry["file"]) for entry in (*entries, *beside) if entry}
    with whole_folder(folder) as made:
        for file in sorted({*files, DESCRIPTION_FILE, CARD}):
            if (bundle.folder / file).is_file():
                (made / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(bundle.folder / file, made / file)


def _convert(
    checkpoint: Path, folder: Path, beside: tuple[Path | None, Path | None], wishes: tuple[str, str, float]
) -> None:
    """Export a published checkpoint; `beside`: sizes and merge table, `wishes`: name, precision, least agreement."""
    with training_room("models import"):
        from export.import_checkpoint import ImportOptions, import_checkpoint
        from export.publish import ExportOptions
    name, precision, least = wishes
    export = ExportOptions(name, precision, least_agreement=least)
    follow_export(import_checkpoint(checkpoint, folder, ImportOptions(*beside, export)), "importing", precision)


def remove_model(name: Imported) -> None:
    """Remove an imported model; those that ship with the program stay.

    [bold]Examples[/]

      sleepcli models remove sleeplm-base
    """
    from core.inference.bundle import installed_models, user_models_folder

    folder = user_models_folder() / _plain(name)
    if not folder.is_dir():
        if name in installed_models():
            raise UsageError(f"{name} ships with sleepcli and stays.", "It goes with: pip uninstall sleepcli")
        known = ", ".join(options.imported_names(""))
        raise UsageError(f"There is no imported model {name!r}.", f"Imported models: {known or 'none'}.")
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise SleepcliError(
            f"{folder} cannot be removed: {(error.strerror or 'refused').lower()}.", "Check its permissions."
        ) from None
    ui.note(f"{folder} is removed.")


def _plain(name: str) -> str:
    if not name or name != Path(name).name or name.startswith("."):
        raise UsageError(f"{name!r} is no name for a model.", "Use letters, digits, - and _.")
    return name


MODELS: dict[str, Callable[..., None]] = {
    "list": list_models,
    "show": show_model,
    "import": import_model,
    "remove": remove_model,
}
"""Commands under `sleepcli models`."""
