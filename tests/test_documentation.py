"""The documentation against the program: every command and option is told of, every example is one that parses."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from sleepcli.app import app
from sleepcli.config import commands_of, options_of

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EVERY: dict[str, Any] = {" ".join(path): command for path, command in commands_of(typer.main.get_command(app))}
WIDTH = 78
"""Columns of a terminal of 80 that an example may take: a wrapped line cannot be pasted."""
EXAMPLE = re.compile(r"^\s*(sleepcli [^\n]+)$", re.MULTILINE)


def examples(text: str) -> list[str]:
    """Lines that begin with the program's name, as they would be pasted."""
    return [match.group(1) for match in EXAMPLE.finditer(text)]


def arguments_of(line: str) -> list[str]:
    """Words of the first command of a shell line, redirections and pipes left out."""
    words = shlex.split(line, comments=True)
    ends = [words.index(mark) for mark in ("|", "&&", ">", "&") if mark in words]
    return words[1 : min(ends, default=len(words))]


@pytest.mark.parametrize("name", sorted({path.partition(" ")[0] for path in EVERY}))
def test_readme_tells_of_every_command(name: str) -> None:
    assert f"`sleepcli {name}" in README


@pytest.mark.parametrize("name", EVERY)
def test_help_ends_with_examples_that_parse(name: str) -> None:
    lines = examples(EVERY[name].epilog or "")
    assert lines
    assert any(line.startswith(f"sleepcli {name}") for line in lines)
    for line in lines:
        assert len(line) <= WIDTH, line
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


@pytest.mark.parametrize("name", EVERY)
def test_readme_names_every_option(name: str) -> None:
    assert [option for option in options_of(EVERY[name]) if f"`--{option}`" not in README] == []


def test_readme_names_files_that_exist() -> None:
    text = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    named = re.findall(r"`((?:core|sleepcli|training|export|tests|docs)/[\w./]*)`|\]\(([\w./]+)\)", text)
    paths = [code or link for code, link in named if "NAME" not in code]
    assert len(paths) > 10
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_readme_sections_are_linked_as_they_are_called() -> None:
    titles = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", README, flags=re.DOTALL), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    assert set(re.findall(r"\]\(#([^)]+)\)", README)) <= anchors


def check(line: str) -> None:
    """Parse a pasted line down to its options; nothing runs."""
    words = arguments_of(line)
    if words in ([], ["--help"]):
        return
    taken = 2 if " ".join(words[:2]) in EVERY else 1
    command, rest = " ".join(words[:taken]), words[taken:]
    assert command in EVERY, line
    context = EVERY[command].make_context(command, rest, resilient_parsing=False)
    assert context.params
