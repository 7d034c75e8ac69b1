"""Defaults of the lab and the user: files, then variables, then flags; a wrong key is told by name."""

import json
from pathlib import Path

import pytest

from tests.sleepcli.conftest import Command
from tests.sleepcli.test_commands import assert_one_sentence


@pytest.fixture
def configured(program: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the path of the configuration that the program reads."""
    path = tmp_path / "config.toml"
    monkeypatch.setenv("SLEEPCLI_CONFIG", str(path))
    return path


def settings(program: Command) -> dict[tuple[str, str], tuple[object, str]]:
    """Value and origin of each option of each command."""
    result = program("info", "--config", "--json")
    assert result.returncode == 0, result.stderr
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    return {(row["option"], command): (row["value"], row["origin"]) for row in rows for command in row["commands"]}


def test_flags_over_variables_over_a_commands_table_over_the_top(
    program: Command, configured: Path, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def domains(*flags: str) -> set[str]:
        result = program("caption", study, *flags)
        assert result.returncode == 0, result.stderr
        return {*json.loads(result.stdout.splitlines()[0])["captions"]}

    configured.write_text('domains = "brain"\n')
    assert domains() == {"brain"}
    configured.write_text('domains = "brain"\n[caption]\ndomains = "cardiac"\n')
    assert domains() == {"cardiac"}
    monkeypatch.setenv("SLEEPCLI_DOMAINS", "somatic")
    assert domains() == {"somatic"}
    monkeypatch.setenv("SLEEPCLI_CAPTION_DOMAINS", "respiration")
    assert domains() == {"respiration"}
    assert domains("--domains", "stage_event") == {"stage_event"}


def test_info_says_where_each_value_comes_from(
    program: Command, configured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured.write_text("on_error = 'abort'\n[stage]\njobs = 3\n[models.import]\nmerges = '~/merges.gz'\n")
    monkeypatch.setenv("SLEEPCLI_EMBED_JOBS", "2")
    found = settings(program)
    assert found["jobs", "stage"] == (3, str(configured))
    assert found["jobs", "embed"] == ("2", "SLEEPCLI_EMBED_JOBS")
    assert found["jobs", "caption"] == (1, "program")
    assert found["on-error", "query"] == ("abort", str(configured))
    assert found["merges", "models import"] == (str(Path("~/merges.gz").expanduser()), str(configured))
    assert found["device", "stage"] == ("auto", "program")


def test_the_users_file_goes_before_the_labs(program: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab, user = tmp_path / "lab.toml", tmp_path / "user" / "sleepcli" / "config.toml"
    user.parent.mkdir(parents=True)
    lab.write_text("jobs = 7\nbatch = 9\n[stage]\njobs = 8\n")
    user.write_text("jobs = 2\n")
    monkeypatch.delenv("SLEEPCLI_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    monkeypatch.setattr("sleepcli.config.LAB_FILE", lab)
    found = settings(program)
    assert found["jobs", "stage"] == (2, str(user))
    assert found["batch", "stage"] == (9, str(lab))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("modell = 'nano'\n", ("modell", "Did you mean model?")),
        ("[caption]\ndomain = 'brain'\n", ("[caption]", "Did you mean domains?")),
        ("[captions]\njobs = 2\n", ("captions", "Did you mean caption?")),
        ("[caption]\nhours = 2\n", ("'hours' under [caption]",)),
        ("[models.imports]\nmerges = 'x'\n", ("imports", "Did you mean import?")),
        ("jobs = 'many'\n", ("'jobs'", "integer")),
        ("[stage]\njobs = 0\n", ("'jobs'",)),
        ("caption = 3\n", ("'caption'", "table")),
        ("[jobs]\nx = 1\n", ("'jobs'", "value")),
        ("model = nano\n", ("not TOML", "line 1")),
    ],
)
def test_a_wrong_file_is_one_sentence(
    program: Command, configured: Path, study: Path, content: str, words: tuple[str, ...]
) -> None:
    configured.write_text(content)
    result = program("stage", study)
    assert_one_sentence(result, 2, configured.name, *words)


def test_a_file_that_was_named_must_be_there(program: Command, configured: Path, study: Path) -> None:
    assert_one_sentence(program("stage", study), 2, configured.name, "SLEEPCLI_CONFIG")


def test_info_without_a_study_says_what_to_give(program: Command) -> None:
    assert_one_sentence(program("info"), 2, "--config")
