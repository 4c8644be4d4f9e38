"""Heard text in recipes: whence the recogniser, what is made anew and what is taken over."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from models.text import ENGLISH
from pipeline.errors import RecipeError
from pipeline.recipe import Recipe, load
from stages.kinds.features import Features
from tests.models.recognisers import write_recogniser
from tests.stages import fake_face, fake_recogniser, test_items
from tests.stages.preprocess.biwi_files import BiwiData
from tests.stages.test_items import again, go

data = test_items.data
RECIPE = f"""\
[step.preprocess]
dataset = "biwi"
root = "raw"
fps = 25.0

[step.features]
encoder = "recogniser"
text = true

[step.train]
model = "{fake_face.NAME}"
width = 4
epochs = 1
"""
OWN = f"""\
[step.preprocess]
dataset = "biwi"
root = "raw"
fps = 25.0

[step.mel]
stage = "features"
encoder = "log-mel"

[step.listen]
stage = "train"
model = "{fake_recogniser.NAME}"
inputs.features = "mel"

[step.features]
encoder = "log-mel"
text = true
recogniser = "checkpoint"

[step.train]
model = "{fake_face.NAME}"
inputs.features = "features"
"""


@pytest.fixture
def recipe(data: BiwiData) -> BiwiData:
    write_recogniser(Path("recogniser"))
    Path("r.toml").write_text(RECIPE)
    return data


@pytest.mark.parametrize("text", [True, False])
def test_a_test_sentence_is_heard_alone_and_trains_nothing(recipe: BiwiData, text: bool) -> None:
    Path("r.toml").write_text(RECIPE if text else RECIPE.replace("text = true", "hidden = true"))
    assert set(go().values()) == {"made"}
    assert set(go().values()) == {"cached"}
    rng = np.random.default_rng(1)
    again(recipe, ("F1", "e37"), rng)
    assert go() == {"preprocess": "8 of 9", "features": "8 of 9", "train": "cached"}
    again(recipe, ("F2", "e01"), rng)
    assert go() == {"preprocess": "8 of 9", "features": "8 of 9", "train": "made"}

    kept = {name: Path("outputs/r/features", name).read_bytes() for name in ("features.h5", "encoder.json")}
    assert set(go("another").values()) == {"made"}
    for name, content in kept.items():
        assert Path("outputs/r/features", name).read_bytes() == content
    features = Features(Path("outputs/r/features"))
    for read in (features.hidden, features.logits) if text else (features.hidden,):
        assert all(len(read(name)) == features.length(name) for name in features.ids())


def test_another_vocabulary_is_another_text(recipe: BiwiData) -> None:
    """The weights stay; what their classes stand for does not."""
    go()
    swapped = [*ENGLISH[:-2], "z", "y"]
    Path("recogniser/vocab.json").write_text(json.dumps({name: number for number, name in enumerate(swapped)}))
    assert go() == {"preprocess": "cached", "features": "made", "train": "made"}
    assert Features(Path("outputs/r/features")).encoder.vocabulary[-2:] == ["z", "y"]


def loaded(text: str) -> Recipe:
    Path("r.toml").write_text(text)
    return load(Path("r.toml"))


def test_a_recogniser_of_ours_is_wired_where_the_recipe_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match=r"input 'recogniser' could come from listen or train; say which"):
        loaded(OWN)
    said = OWN.replace('recogniser = "checkpoint"', 'recogniser = "checkpoint"\ninputs.recogniser = "listen"')
    assert loaded(said).steps["features"].inputs == {"data": "preprocess", "recogniser": "listen"}


def test_no_network_is_taken_for_a_recogniser_by_accident(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plain = loaded(RECIPE.replace('"recogniser"', '"a/recogniser"'))
    assert plain.steps["features"].inputs == {"data": "preprocess"}
    both = RECIPE.replace("text = true", 'text = true\nrecogniser = "c/d"\ninputs.recogniser = "train"')
    with pytest.raises(
        RecipeError, match=r"stage 'features' reads no input 'recogniser' as its parameters stand; it reads data"
    ):
        loaded(both)
    with pytest.raises(RecipeError, match=r"text = true needs a recogniser, and encoder = 'log-mel' is none: name one"):
        loaded(RECIPE.replace('"recogniser"', '"log-mel"'))
