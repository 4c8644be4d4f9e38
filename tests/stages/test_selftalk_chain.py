"""SelfTalk through the stages train and infer, and what of the text that was heard belongs to a clip."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.selftalk import Settings
from models.settings import Wants
from models.text import Vocabulary
from pipeline.errors import StageError
from pipeline.stage import Input
from stages.infer import Infer
from stages.infer import Params as InferParams
from stages.kinds.checkpoint import Checkpoint
from stages.kinds.features import Features
from stages.kinds.predictions import Predictions
from stages.train import Params, Train
from stages.train.clips import Take
from tests.stages.train_runs import HIDDEN, LETTERS, hear, inputs, new_job, with_text

__all__ = ["inputs"]

SMALL = Settings(
    feature_dim=16,
    motion_scale=0.01,
    encoder_layers=1,
    encoder_width=32,
    encoder_heads=2,
    interpreter_layers=1,
    interpreter_heads=2,
    interpreter_feedforward=16,
)


@pytest.fixture(scope="module")
def silent(inputs: dict[str, Input], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Input]:
    """A network that has learnt no text, beside what it speaks of."""
    job = new_job(tmp_path_factory.mktemp("silent"), inputs)
    alone = replace(SMALL, latent_weight=0.0, text_weight=0.0)
    Train(Params(model="selftalk", epochs=1), {"model": alone}).run(job)
    return inputs | {"checkpoint": Input(job.out, "checkpoint", "x", {})}


def test_it_is_trained_and_speaks(inputs: dict[str, Input], tmp_path: Path) -> None:
    given = inputs | {"features": replace(inputs["features"], path=hear(inputs))}
    job = new_job(tmp_path / "train", given)
    Train(Params(model="selftalk", epochs=3, lr=1e-3, batch_size=2), {"model": SMALL}).run(job)
    made = Checkpoint(job.out)
    assert (tuple(made.facts.vocabulary), made.facts.text_width) == (LETTERS, HIDDEN)
    assert made.facts.regions == {"lips": list(range(6))}
    history = made.history()
    assert all({"loss", "position", "velocity", "latent", "text"} <= epoch["train"].keys() for epoch in history)
    assert made.training()["best_loss"] == min(epoch["val"]["loss"] for epoch in history)
    network = made.load_network()
    assert network.reads
    spoken = new_job(tmp_path / "infer", given | {"checkpoint": Input(job.out, "checkpoint", "x", {})})
    Infer(InferParams()).run(spoken)
    predictions = Predictions(spoken.out)
    motion = torch.tensor(np.array(predictions.motion("D_s01_condition_mean"))).flatten(1)
    heard = Features(given["features"].path)["D_s01"]
    assert len(motion) == network.frames_for(len(heard))
    template = torch.from_numpy(with_text(inputs, Wants()).data.template_of("D_s01").reshape(-1))
    assert network.read_lips(motion, template).shape == (int(len(motion) / 30 * 50), len(LETTERS))


@pytest.mark.parametrize("rule", ["published", "all", "own", "mean", ["mean"]])
def test_without_styles_a_sentence_has_one_motion(silent: dict[str, Input], tmp_path: Path, rule: str) -> None:
    job = new_job(tmp_path, silent)
    Infer(InferParams(splits=["train", "test"], conditions=rule)).run(job)
    info = Predictions(job.out).info
    assert {item.condition for item in info.items.values()} == {"mean"}
    assert {"A_s01_condition_mean", "D_s01_condition_mean"} <= info.items.keys()
    assert info.in_style(info.model, info.items["D_s01_condition_mean"]) == "selftalk"


def test_a_style_that_is_named_where_there_are_none(silent: dict[str, Input], tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"conditions names A, and the network in .* has no styles: .* leave cond"):
        Infer(InferParams(conditions=["A", "mean"])).run(new_job(tmp_path, silent))


def test_what_is_heard_behind_the_last_whole_frame_is_no_text_of_a_clip(
    inputs: dict[str, Input], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = (with_text(inputs, Wants(text="heard", per_frame=count)) for count in (0, 2))
    logits = Features(hear(inputs)).logits("A_s01")
    vocabulary = Vocabulary(LETTERS)
    for reader, until in ((whole, len(logits)), (cut, len(logits) // 2 * 2)):
        assert reader.said("A_s01") == vocabulary.read(logits[:until])
    text = cut.batch([Take("A_s01", 0)]).text
    assert text is not None
    assert text[0].tolist() == vocabulary.classes_of(cut.said("A_s01"))
    shorter = replace(cut.data.entry("A_s01"), frames=9)
    monkeypatch.setattr(cut.data, "entry", lambda name: shorter)
    assert cut.said("A_s01") == vocabulary.read(logits[:18]) != whole.said("A_s01")
