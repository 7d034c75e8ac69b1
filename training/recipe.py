"""A run's options from a TOML file: the rare ones live there, the usual ones are flags of the program.

Keys are the fields of `TrainOptions`; tables are its parts: `[weights]`, `[texts]`, `[augmentation]`, `[sampler]`,
`[subjects]` (subject by study name) and `[model]` (sizes that differ from the preset's). A run's `meta.json` holds
the options of a run in the same words.
"""

from __future__ import annotations

import difflib
import tomllib
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from core.errors import UsageError
from training.config import ModelConfig, preset
from training.options import TrainOptions

NOT_HERE = ("stores", "out", "model")
"""Fields of `TrainOptions` that a recipe does not set as they stand: places, and the whole network."""


def read_recipe(path: Path, kind: type = TrainOptions) -> dict[str, Any]:
    """Read a recipe.

    Parameters
    ----------
    path
        A TOML file.
    kind
        What it sets: `TrainOptions`, or the `NightOptions` of the night model with its `[stages]` and `[events]`.

    Returns
    -------
    dict
        Fields of `kind` with values of their types; the sizes of `[model]` under `model`.

    Raises
    ------
    UsageError
        A file that is not there or no TOML, a key that does not exist, a value of the wrong kind.
    """
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"The recipe {path} cannot be read: {(error.strerror or 'error').lower()}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"The recipe {path} is no TOML.", "A line looks like: batch_size = 128") from error
    sizes = given.pop("model", {})
    made = _values(kind, given, "", NOT_HERE)
    if sizes:
        made["model"] = _values(ModelConfig, sizes, "model.", ())
    return made


def options_of(recipe: Mapping[str, Any], given: Mapping[str, Any]) -> TrainOptions:
    """Join a recipe with what was given on the command line, which goes first.

    Parameters
    ----------
    recipe
        What `read_recipe` gave, or nothing.
    given
        Fields of `TrainOptions`; None for what was not given.

    Raises
    ------
    UsageError
        Options that cannot work.
    """
    values = {**recipe, **{name: value for name, value in given.items() if value is not None}}
    sizes = values.pop("model", None)
    if sizes:
        values["model"] = replace(preset(values.get("preset", TrainOptions.preset)), **sizes)
    return TrainOptions(**values)


def _values(kind: Any, given: Mapping[str, Any], place: str, hidden: tuple[str, ...]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    known = [field.name for field in fields(kind) if field.name not in hidden]
    made: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"Did you mean {place}{close[0]}?" if close else f"Known here: {', '.join(known)}."
            raise UsageError(f"A recipe has no entry {place}{name}.", hint)
        made[name] = _value(hints[name], value, f"{place}{name}")
    return made


def _value(kind: Any, value: Any, place: str) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _value(next(part for part in inner if part is not type(None)), value, place)
    if is_dataclass(kind) and isinstance(kind, type) and isinstance(value, Mapping):
        return kind(**_values(kind, value, f"{place}.", ()))
    if origin is tuple and isinstance(value, list) and all(isinstance(entry, inner[0]) for entry in value):
        return tuple(value)
    if origin is Mapping and isinstance(value, dict) and all(isinstance(entry, str) for entry in value.values()):
        return value
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, type) and type(value) is kind:
        return value
    wanted = "a table" if is_dataclass(kind) or origin is Mapping else "a list" if origin is tuple else kind.__name__
    raise UsageError(f"The recipe's {place} is {value!r}.", f"It must be {wanted}.")
