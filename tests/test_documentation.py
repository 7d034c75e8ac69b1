"""The documentation against the program: every command and option is told of, every example is one that parses."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from sleepcli.app import app

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAM = typer.main.get_command(app)
COMMANDS = dict(PROGRAM.commands)  # type: ignore[attr-defined]
MODELS = {f"models {name}": command for name, command in COMMANDS.pop("models").commands.items()}
EVERY = {**COMMANDS, **MODELS}
EXAMPLE = re.compile(r"^\s*(sleepcli [^\n]+)$", re.MULTILINE)


def examples(text: str) -> list[str]:
    """Lines that begin with the program's name, as they would be pasted."""
    return [match.group(1) for match in EXAMPLE.finditer(text)]


def arguments_of(line: str) -> list[str]:
    """Words of the first command of a shell line, redirections and pipes left out."""
    words = shlex.split(line, comments=True)
    ends = [words.index(mark) for mark in ("|", "&&", ">") if mark in words]
    return words[1 : min(ends, default=len(words))]


@pytest.mark.parametrize("name", COMMANDS)
def test_readme_tells_of_every_command(name: str) -> None:
    assert f"`sleepcli {name}" in README


@pytest.mark.parametrize("name", EVERY)
def test_help_ends_with_examples_that_parse(name: str) -> None:
    text = EVERY[name].help or ""
    assert "Examples" in text
    lines = examples(text)
    assert lines
    for line in lines:
        check(line)


def test_readme_examples_parse() -> None:
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))
    lines = examples(blocks)
    assert len(lines) >= 5
    for line in lines:
        check(line)


@pytest.mark.parametrize("name", EVERY)
def test_every_option_has_a_help_text(name: str) -> None:
    for parameter in EVERY[name].params:
        if parameter.param_type_name == "option" and parameter.name not in ("help",):
            assert getattr(parameter, "help", None), f"{name} {parameter.opts}"


def check(line: str) -> None:
    """Parse a pasted line down to its options; nothing runs."""
    words = arguments_of(line)
    if words in ([], ["--help"]):
        return
    command, rest = words[0], words[1:]
    if command == "models":
        command, rest = f"models {rest[0]}", rest[1:]
    assert command in EVERY, line
    context = EVERY[command].make_context(command, rest, resilient_parsing=False)
    assert context.params
