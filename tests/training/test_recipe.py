"""Options of a run from a TOML file and from flags."""

from pathlib import Path

import pytest

from core.errors import UsageError
from training.config import PRESETS
from training.night import NightOptions
from training.options import TrainOptions
from training.recipe import options_of, read_recipe

PLACES = {"stores": (Path("a"),), "out": Path("b")}
RECIPE = """
preset = "small"
batch_size = 128
learning_rate = 1
[weights]
events = 0.5
[sampler]
rare = 0.2
[subjects]
night1 = "p1"
[model]
channels = ["EEG_C3", "SNORE"]
width = 192
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_recipe_sets_any_option_and_flags_go_first(tmp_path: Path):
    recipe = read_recipe(written(tmp_path, RECIPE))
    options = options_of(recipe, {**PLACES, "max_steps": 5, "batch_size": 32, "seed": None})
    assert (options.preset, options.batch_size, options.learning_rate) == ("small", 32, 1.0)
    assert options.weights.events == 0.5
    assert options.weights.caption == 1.0
    assert options.sampler.rare == 0.2
    assert options.subjects == {"night1": "p1"}
    assert options.seed == TrainOptions.seed
    assert options.model is not None
    assert (options.model.width, options.model.heads) == (192, PRESETS["small"].heads)
    assert options.model.channels == ("EEG_C3", "SNORE")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("batchsize = 3", "Did you mean batch_size?"),
        ("[weights]\nevent_prompt = 1.0", "Did you mean weights.event_prompts?"),
        ("[weights]\nxyzzy = 1.0", "Known here: contrastive"),
        ("batch_size = 'many'", "It must be int"),
        ("batch_size = true", "It must be int"),
        ("weights = 3", "It must be a table"),
        ("batch_size =", "no TOML"),
        ("stores = ['a']", "no entry stores"),
        ("[model]\nchannels = 'EEG_C3'", "It must be a list"),
    ],
)
def test_a_wrong_entry_is_told_with_what_was_meant(tmp_path: Path, text: str, said: str):
    with pytest.raises(UsageError) as caught:
        read_recipe(written(tmp_path, text))
    assert said in str(caught.value)


def test_a_recipe_that_is_not_there_is_said_so(tmp_path: Path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_recipe(tmp_path / "none.toml")


def test_the_recipes_of_the_project_are_valid():
    for path in (Path(__file__).resolve().parents[2] / "training" / "recipes").glob("*.toml"):
        if path.stem == "night":
            assert NightOptions(**PLACES, **read_recipe(path, NightOptions)).stages.shares
        else:
            assert options_of(read_recipe(path), {**PLACES, "max_steps": 1})
