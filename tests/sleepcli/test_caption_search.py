"""`caption --beams` and `caption --grammar`, as people run them."""

import json
from pathlib import Path

from core.language.facts import DOMAINS
from core.language.read_back import read_back
from tests.sleepcli.conftest import Command


def captions(output: str) -> list[dict[str, str]]:
    return [json.loads(line)["captions"] for line in output.splitlines()]


def test_beams_and_grammar_caption_every_epoch(program: Command, study: Path) -> None:
    for words in (("--beams", 3), ("--grammar",), ("--beams", 2, "--grammar")):
        done = program("caption", study, "--json", *words)
        assert done.returncode == 0, done.stderr
        found = captions(done.stdout)
        assert len(found) == 4
        assert all({*one} == {*DOMAINS} for one in found)
        assert not any(read_back(one["brain"], "brain").unparsed for one in found)


def test_they_are_of_no_use_without_a_model_or_while_the_night_is_recorded(program: Command, study: Path) -> None:
    for words in (("--measured", "--grammar"), ("--follow", "--beams", 2), ("--follow", "--grammar")):
        done = program("caption", study, *words)
        assert done.returncode == 2
        assert words[1] in done.stderr
