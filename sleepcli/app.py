"""The `sleepcli` program: its commands and the one error boundary."""

import os
import sys
import traceback
from importlib.metadata import version
from typing import Annotated, Any

import click
import typer
from typer.core import TyperGroup

from core.errors import SleepcliError
from sleepcli import ui
from sleepcli.commands import (
    caption,
    demo,
    doctor,
    embed,
    export,
    info,
    prepare,
    query,
    simulate,
    stage,
    train,
)

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


class Boundary(TyperGroup):
    """Turns every failure into one sentence on standard error and the documented exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; nothing but an exit leaves here."""
        try:
            return super().invoke(ctx)
        except SleepcliError as error:
            self._debug(ctx)
            ui.error(error.message, error.hint)
            raise typer.Exit(error.exit_code) from None
        except (click.exceptions.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            ui.error("Interrupted.", "Finished files are kept; the same command goes on from there.")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - the reader has gone; flush nowhere
            raise typer.Exit(0) from None
        except Exception as error:  # noqa: BLE001 - a bug ends in a sentence too; --debug shows where
            self._debug(ctx)
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{os.path.basename(last.filename)}:{last.lineno}"
            ui.error(f"Unexpected {type(error).__name__} at {where}.", "Please report this; --debug shows more.")
            raise typer.Exit(3) from None

    @staticmethod
    def _debug(ctx: click.Context) -> None:
        if ctx.params.get("debug"):
            ui.note("".join(traceback.format_tb(sys.exc_info()[2])))


app = typer.Typer(
    cls=Boundary,
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


for module, name in (
    (demo, "demo"),
    (info, "info"),
    (prepare, "prepare"),
    (caption, "caption"),
    (stage, "stage"),
    (query, "query"),
    (embed, "embed"),
    (train, "train"),
    (export, "export"),
    (simulate, "simulate"),
    (doctor, "doctor"),
):
    app.command(name)(getattr(module, name))
