"""The `sleepcli` program: its commands and the one error boundary."""

import functools
import os
import sys
import traceback
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from core.errors import SleepcliError
from sleepcli import ui
from sleepcli.commands import (
    caption,
    deidentify,
    demo,
    doctor,
    embed,
    export,
    info,
    models,
    prepare,
    query,
    simulate,
    stage,
    train,
)
from sleepcli.run import DEBUG

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def bounded(command: Callable[..., None]) -> Callable[..., None]:
    """Make every failure of a command one sentence on standard error and the documented exit code."""

    @functools.wraps(command)
    def guarded(*args: object, **kwargs: object) -> None:
        try:
            command(*args, **kwargs)
        except SleepcliError as error:
            _show_trace()
            ui.error(error.message, error.hint)
            raise typer.Exit(error.exit_code) from None
        except (typer.Exit, typer.Abort):
            raise
        except KeyboardInterrupt:
            ui.error("Interrupted.", "Finished files are kept; the same command goes on from there.")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - the reader has gone; flush nowhere
            raise typer.Exit(0) from None
        except Exception as error:  # noqa: BLE001 - a bug ends in a sentence too; --debug shows where
            _show_trace()
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(last.filename).name}:{last.lineno}"
            ui.error(f"Unexpected {type(error).__name__} at {where}.", "Please report this; --debug shows more.")
            raise typer.Exit(3) from None

    return guarded


def _show_trace() -> None:
    if DEBUG.get():
        ui.note("".join(traceback.format_tb(sys.exc_info()[2])))


app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sleepcli {version('sleepcli')}")
        raise typer.Exit


@app.callback()
def sleepcli(
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Turn polysomnography studies into captions, sleep stages and answers, on this machine.

    Not a medical device: results are not for diagnosis.
    """
    DEBUG.set(debug)


for module in (demo, info, prepare, caption, stage, query, embed, train, export, simulate, deidentify, doctor):
    name = module.__name__.rpartition(".")[2]
    app.command(name)(bounded(getattr(module, name)))

for command in models.models.registered_commands:
    if command.callback is not None:
        command.callback = bounded(command.callback)
app.add_typer(models.models, name="models")
