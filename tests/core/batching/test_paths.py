"""What people type and pipe, as studies: every way to name a file, and files of every name."""

import os
from pathlib import Path

import pytest

from core.batch import expand
from core.errors import UsageError


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def names_of(*paths: object, listed: tuple[str, ...] = ()) -> list[str]:
    return [item.study for item in expand([str(path) for path in paths], listed)]


def test_a_list_may_have_windows_ends_a_byte_order_mark_blank_lines_and_comments(tmp_path: Path) -> None:
    touched(tmp_path, "a.edf", "two words.edf", "#not a comment.edf", "last .edf")
    lines = (
        *("\ufeff# nights of March\r\n", f"{tmp_path}/a.edf\r\n", "\r\n", "   \n", "# and\n"),
        *(f"  {tmp_path}/two words.edf\t\n", f"{tmp_path}/#not a comment.edf\n", f"{tmp_path}/last .edf"),
    )
    assert names_of("-", listed=lines) == ["a", "two words", "#not a comment", "last "]
    assert names_of("-", listed=(f"{tmp_path}/a.edf\n", "#x.edf")) == ["a"]


def test_a_list_may_end_its_paths_with_nul(tmp_path: Path) -> None:
    touched(tmp_path, "a.edf", "new\nline.edf")
    listed = (f"{tmp_path}/a.edf\0{tmp_path}/new\n", "line.edf\0")
    assert [item.path.name for item in expand(["-"], listed)] == ["a.edf", "new\nline.edf"]
    assert names_of("-", listed=listed) == ["a", "new_line"]


def test_a_line_that_can_be_no_path_is_one_failed_study(tmp_path: Path) -> None:
    touched(tmp_path, "a.edf")
    items = expand(["-"], [f"{tmp_path}/a.edf", "x" * 5000, f"{tmp_path}/[", f"{tmp_path}/a.edf/b.edf"])
    assert [item.path.exists() if len(item.path.name) < 255 else False for item in items] == [True, False, False, False]
    with pytest.raises(UsageError, match="No such file"):
        expand(["x" * 5000])
    with pytest.raises(UsageError, match="in an empty list"):
        expand(["-"], ["\n", "# nothing\n"])


def test_a_study_is_one_however_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touched(tmp_path, "in/a.edf", "in/b.edf")
    (tmp_path / "linked").symlink_to(tmp_path / "in")
    monkeypatch.chdir(tmp_path)
    paths = ("in/a.edf", "./in/a.edf", "in/../in/a.edf", tmp_path / "in" / "a.edf", "linked/a.edf", "in/[ab].edf", "in")
    assert names_of(*paths) == ["a", "b"]


def test_links_to_folders_are_followed_and_loops_end(tmp_path: Path) -> None:
    touched(tmp_path, "in/a.edf", "disk/b.edf", "disk/deep/c.edf")
    (tmp_path / "in" / "more").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "back").symlink_to(tmp_path / "in")
    (tmp_path / "disk" / "self").symlink_to(tmp_path / "disk" / "self")
    for paths in ((tmp_path / "in",), (tmp_path / "in" / "**",), (tmp_path / "in", tmp_path / "disk")):
        assert sorted(names_of(*paths)) == ["a", "b", "c"], paths


def test_globs_take_spaces_and_names_with_brackets_are_taken_as_they_are(tmp_path: Path) -> None:
    touched(tmp_path, "my nights/night [1].edf", "my nights/night 1.edf", "my nights/night [1]/x.edf")
    assert names_of(tmp_path / "my nights" / "night [1].edf") == ["night [1]"]
    assert names_of(tmp_path / "my n*" / "night 1.*") == ["night 1"]
    assert sorted(names_of(tmp_path / "my*")) == ["night 1", "night [1]", "x"]


def test_names_are_unique_printable_and_told_apart_on_every_file_system(tmp_path: Path) -> None:
    strange = (
        *("a/Night.edf", "b/night.edf", "c/n\x1b[2Jx.edf", "c/line\nend.edf", "d/\u202egnp.edf"),
        *("e/caf\u00e9.edf", "f/cafe\u0301.edf", "x/a.edf", "x/a.EDF", "x/a.bdf", "y_a.edf", "y/a.edf"),
    )
    touched(tmp_path, *strange)
    names = names_of(tmp_path)
    assert len({name.casefold() for name in names}) == len(strange)
    assert all(name.isprintable() for name in names), names
    assert {"a_Night", "b_night", "e_caf\u00e9", "f_cafe\u0301"} <= set(names)
    assert sorted(names) == sorted(names_of(*(tmp_path / name for name in strange)))


def test_names_that_no_folder_tells_apart_are_told_apart() -> None:
    names = names_of("/dev/b/a.edf", "/dev/b_a.edf", "/dev/null", "/dev/b/a.edf", "/x/b/a.edf")
    assert len(set(names)) == 4, names


def test_thousands_of_studies_of_one_name_are_named_in_one_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import core.batching.paths as paths

    calls = []
    real = paths._clashes
    monkeypatch.setattr(paths, "_clashes", lambda names: calls.append(len(names)) or real(names))
    touched(tmp_path, *(f"{number}/night.edf" for number in range(300)))
    assert len(set(names_of(tmp_path))) == 300
    assert len(calls) <= 5


def test_a_folder_that_cannot_be_read_is_a_failed_study_and_no_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched(tmp_path, "open/a.edf", "closed/b.edf")
    real = os.scandir

    def scandir(place: str) -> object:
        if str(place).endswith("closed"):  # what the system says to everybody but root
            raise PermissionError(13, "Permission denied", str(place))
        return real(place)

    monkeypatch.setattr(os, "scandir", scandir)
    assert {item.path for item in expand([str(tmp_path)])} == {tmp_path / "open" / "a.edf", tmp_path / "closed"}
