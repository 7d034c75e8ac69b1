"""The rules of the house, held by the tools that know them."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("core", "training", "export", "sleepcli")
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
FILE_LINES = 420
FUNCTION_LINES = 60
HEAVY = ("torch", "onnxruntime", "mne", "scipy")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("-m", "ruff", "check", "."), id="ruff"),
        pytest.param(("-m", "mypy"), id="mypy"),
        pytest.param(("-c", "import sys; from importlinter.cli import lint_imports_command as c; c()"), id="imports"),
    ],
)
def test_tool_finds_nothing(command: tuple[str, ...]) -> None:
    result = run(*command)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]


@pytest.mark.parametrize("arguments", [("--help",), ("caption", "--help"), ("--version",)])
def test_help_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    code = (
        "import sys\nfrom sleepcli.app import app\n"
        f"try:\n    app({list(arguments)!r})\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "print('\\n' + ' '.join(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    result = run("-c", code)
    assert result.returncode == 0, result.stderr
    loaded = set(result.stdout.splitlines()[-1].split())
    assert "typer" in loaded
    assert not loaded & set(HEAVY)


def test_files_and_functions_are_short() -> None:
    long = []
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        if text.count("\n") > FILE_LINES:
            long.append(f"{path.relative_to(ROOT)}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {length} lines")
    assert not long, "\n".join(long)


def test_packages_are_plain() -> None:
    for path in SOURCES:
        if path.name == "__init__.py":
            body = ast.parse(path.read_text(encoding="utf-8")).body
            assert not body or (len(body) == 1 and isinstance(body[0], ast.Expr)), f"{path} holds code"


def test_no_room_is_a_drawer() -> None:
    drawers = {"utils", "util", "helpers", "common", "misc"}
    assert not [path for path in SOURCES if drawers & {part.removesuffix(".py") for part in path.parts}]
