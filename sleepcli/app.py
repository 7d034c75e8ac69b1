"""The `sleepcli` program: its commands and the one error boundary."""

import functools
import inspect
import sys
import traceback
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from core.errors import SleepcliError
from core.threads import one_thread_a_product
from sleepcli import ui
from sleepcli.commands import (
    bench,
    caption,
    deidentify,
    demo,
    doctor,
    embed,
    evaluate,
    export,
    index,
    info,
    models,
    prepare,
    query,
    report,
    simulate,
    stage,
    train,
)
from sleepcli.config import ConfiguredGroup, defaults
from sleepcli.interrupts import code_of, terminable
from sleepcli.run import DEBUG

EXAMPLES = "[bold]Examples[/]"


def bounded(command: Callable[..., None]) -> Callable[..., None]:
    """Make every failure of a command one sentence on standard error and the documented exit code."""

    @functools.wraps(command)
    def guarded(*args: object, **kwargs: object) -> None:
        try:
            with terminable():
                command(*args, **kwargs)
        except SleepcliError as error:
            _show_trace()
            ui.error(error.message, error.hint)
            raise typer.Exit(error.exit_code) from None
        except (typer.Exit, typer.Abort):
            raise
        except KeyboardInterrupt as end:
            ui.error("Interrupted.", "Finished files are kept; the same command goes on from there.")
            raise typer.Exit(code_of(end)) from None
        except BrokenPipeError:
            ui.forget_reader()
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
    cls=ConfiguredGroup,
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
@bounded
def sleepcli(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Turn polysomnography studies into captions, sleep stages and answers, on this machine.

    Not a medical device: results are not for diagnosis.
    """
    DEBUG.set(debug)
    one_thread_a_product()
    ui.settle_streams()
    context.default_map = defaults(context.command)


def _add(to: typer.Typer, name: str, command: Callable[..., None]) -> None:
    """Add a command; what follows `Examples` in its docstring ends its help."""
    text, _, examples = inspect.cleandoc(command.__doc__ or "").partition(EXAMPLES)
    lines = (EXAMPLES, *(line.strip() for line in examples.splitlines() if line.strip()))
    to.command(name, help=text.strip(), epilog="\n\n".join(lines))(bounded(command))


for module in (
    demo,
    info,
    prepare,
    caption,
    stage,
    index,
    query,
    embed,
    evaluate,
    report,
    train,
    export,
    simulate,
    deidentify,
    bench,
    doctor,
):
    name = module.__name__.rpartition(".")[2]
    _add(app, name, getattr(module, name))

of_models = typer.Typer(no_args_is_help=True, help="List, show, import and remove models.")
for name, command in models.MODELS.items():
    _add(of_models, name, command)
app.add_typer(of_models, name="models")
