"""Defaults of every option of every command: the lab's file, the user's file, environment variables, in rising order.

Files are TOML. A key is an option without its dashes; at the top it is meant for every command that has the option, in
a table named like a command (`[caption]`, `[models.import]`) for that command alone.
"""

import difflib
import os
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from core.errors import UsageError

CHOSEN = "SLEEPCLI_CONFIG"
"""Variable that names one file, read instead of the lab's and the user's; empty for none."""
RESERVED = (CHOSEN, "SLEEPCLI_MODELS", "SLEEPCLI_CACHE")
"""Variables with a meaning of their own, which no option takes."""
LAB_FILE = Path("/etc/sleepcli.toml")
"""The lab's file on Linux and macOS."""
PROGRAM = "program"
"""Where a value comes from that nobody has set."""
NEVER = ("help", "install_completion", "show_completion")

Command = Any
"""A command of Typer: its own class, whose base moved between its versions."""


@dataclass(frozen=True)
class Setting:
    """The value that an option has where the command line does not give it."""

    option: str
    """The option without its dashes."""
    value: Any
    """As the file or the variable has it; None where the program has no default."""
    origin: str
    """`program`, the name of a variable, or the path of a file."""
    commands: tuple[str, ...]
    """Commands for which this holds."""

    @property
    def shown(self) -> str:
        """The value as a table shows it."""
        if self.value is None or self.value == "":
            return "-"
        return str(self.value).lower() if isinstance(self.value, bool) else str(self.value)

    def to_json(self) -> dict[str, Any]:
        """Give the setting as JSON values."""
        plain = self.value is None or isinstance(self.value, bool | int | float | str)
        return {**vars(self), "value": self.value if plain else str(self.value)}


class ConfiguredGroup(TyperGroup):
    """The program's commands, every option of which also takes SLEEPCLI_<COMMAND>_<OPTION> and SLEEPCLI_<OPTION>."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for path, command in commands_of(self):
            for option, parameter in options_of(command).items():
                names = ("_".join(("SLEEPCLI", *path, option)), f"SLEEPCLI_{option}")
                spelled = (name.replace("-", "_").upper() for name in names)
                parameter.envvar = [name for name in spelled if name not in RESERVED]
                parameter.show_envvar = False


def commands_of(group: Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Command]]:
    """Give every command below a group with its words."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands_of(command, (*path, name))
        else:
            yield (*path, name), command


def options_of(command: Command) -> dict[str, Any]:
    """Give the options of a command, by their long names without dashes."""
    found = {}
    for parameter in command.params:
        if parameter.param_type_name == "option" and parameter.name not in NEVER:
            found[max(parameter.opts, key=len).lstrip("-")] = parameter
    return found


def config_files() -> list[Path]:
    """Files that are looked for, the stronger last: the lab's, then the user's; or the chosen one alone."""
    chosen = os.environ.get(CHOSEN)
    if chosen is not None:
        return [Path(chosen).expanduser()] if chosen else []
    if sys.platform == "win32":
        lab = Path(os.environ.get("PROGRAMDATA", "C:/ProgramData")) / "sleepcli" / "config.toml"
        return [lab, Path(typer.get_app_dir("sleepcli")) / "config.toml"]
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return [LAB_FILE, Path(home) / "sleepcli" / "config.toml"]


def defaults(group: Command) -> dict[str, Any]:
    """Give what the files say as the defaults of the commands, nested by their words.

    Raises
    ------
    UsageError
        A file cannot be read, or has a key or a value that no command takes.
    """
    layers = _layers(group)
    found: dict[str, Any] = {}
    for path, command in commands_of(group):
        place = found
        for word in path:
            place = place.setdefault(word, {})
        for option, parameter in options_of(command).items():
            if (known := _from_files(layers, path, option)) is not None:
                place[parameter.name] = known[0]
    return found


def settings(group: Command) -> list[Setting]:
    """Give the value of every option and where it comes from, what was set before what was not."""
    layers = _layers(group)
    holders: dict[tuple[str, str, str], list[str]] = {}
    values: dict[tuple[str, str, str], Any] = {}
    for path, command in commands_of(group):
        for option, parameter in options_of(command).items():
            value, origin = _value(layers, path, option, parameter)
            key = (option, repr(value), origin)
            holders.setdefault(key, []).append(" ".join(path))
            values[key] = value
    found = [Setting(key[0], values[key], key[2], tuple(commands)) for key, commands in holders.items()]
    return sorted(found, key=lambda setting: (setting.origin == PROGRAM, setting.option, setting.commands))


def _value(layers: list[tuple[Path, dict[str, Any]]], path: tuple[str, ...], option: str, parameter: Any) -> Any:
    for name in parameter.envvar or ():
        if os.environ.get(name):
            return os.environ[name], name
    if (known := _from_files(layers, path, option)) is not None:
        return known[0], str(known[1])
    return (None if parameter.required else parameter.default), PROGRAM


def _from_files(
    layers: list[tuple[Path, dict[str, Any]]], path: tuple[str, ...], option: str
) -> tuple[Any, Path] | None:
    """Find an option's value: the user's file before the lab's, a command's table before the top of its file."""
    for file, content in reversed(layers):
        table: Any = content
        for word in path:
            table = table.get(word, {})
        for place in (table, content):
            if option in place:
                return place[option], file
    return None


def _layers(group: Command) -> list[tuple[Path, dict[str, Any]]]:
    """Read the files that are there, checked and with dashes in their keys."""
    chosen = os.environ.get(CHOSEN)
    layers = []
    for file in config_files():
        if file.is_file():
            layers.append((file, _checked(file, _read(file), group)))
        elif chosen:
            raise UsageError(f"There is no configuration {file}.", f"Check the variable {CHOSEN}.")
    return layers


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The configuration {file} cannot be read.", "Check the file and its permissions.") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"The configuration {file} is not TOML: {error}.", "Correct the line.") from error


def _checked(file: Path, content: Mapping[str, Any], group: Command) -> dict[str, Any]:
    """Check the top of a file: options of any command, and tables of commands."""
    every: dict[str, list[Command]] = {}
    for _, command in commands_of(group):
        for option in options_of(command):
            every.setdefault(option, []).append(command)
    checked: dict[str, Any] = {}
    for key, value in content.items():
        if key in group.commands and isinstance(value, dict):
            checked[key] = _table(file, value, group.commands[key], key)
        else:
            option = _known(file, key, [*every, *group.commands], "")
            checked[option] = _typed(file, option, value, every.get(option, []))
    return checked


def _table(file: Path, content: Mapping[str, Any], command: Command, name: str) -> dict[str, Any]:
    if hasattr(command, "commands"):
        tables = {}
        for key, value in content.items():
            _known(file, key, list(command.commands), f" under [{name}]")
            if not isinstance(value, dict):
                raise UsageError(f"{key!r} in {file} must be a table.", f"Write [{name}.{key}] above its options.")
            tables[key] = _table(file, value, command.commands[key], f"{name}.{key}")
        return tables
    table = {}
    for key, value in content.items():
        option = _known(file, key, list(options_of(command)), f" under [{name}]")
        table[option] = _typed(file, option, value, [command])
    return table


def _known(file: Path, key: str, names: list[str], where: str) -> str:
    """Give the name that a key means; underscores stand for dashes."""
    option = key.replace("_", "-")
    if option in names:
        return option
    close = difflib.get_close_matches(option, names, n=1, cutoff=0.5)
    hint = f"Did you mean {close[0]}?" if close else f"Known here: {', '.join(sorted(set(names)))}."
    raise UsageError(f"{file} has {key!r}{where}, which no command takes.", hint)


def _typed(file: Path, option: str, value: Any, commands: list[Command]) -> Any:
    """Check a value as the command line would; `~` at its beginning is the home folder."""
    if not commands or isinstance(value, dict):
        raise UsageError(f"{option!r} in {file} must be {'a value' if commands else 'a table'}.", "Correct the file.")
    value = os.path.expanduser(value) if isinstance(value, str) else value
    for command in commands:
        try:
            options_of(command)[option].process_value(typer.Context(command), value)
        except typer.BadParameter as error:
            raise UsageError(f"{option!r} in {file}: {error.message.rstrip('.')}.", "Correct the file.") from error
    return value
