"""Released files of CodeTalker's first stage, and files that are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from faces.errors import DataError
from models.codetalker_vq.autoencoder import MotionAutoencoder
from models.codetalker_vq.settings import Settings
from models.official import read_official
from models.positions import periodic_encoding
from models.talking_face import DataFacts
from tests.models.tiny_vq import BIWI, BOTH, FACTS, VERTICES, VOCASET, clips, prior

TABLES = ("encoder.encoder_pos_embedding.pe", "decoder.decoder_pos_embedding.pe")


def published(settings: Settings, seed: int = 5) -> dict[str, Tensor]:
    """The state dict as the released code saves it: plain names, both position tables."""
    table = periodic_encoding(5000, settings.hidden_size, 5000)[:, None]
    return {**prior(settings, seed).state_dict(), **{name: table.clone() for name in TABLES}}


def load(state: dict[str, Tensor], folder: Path, settings: Settings, **facts: Any) -> MotionAutoencoder:
    """Into a network with other weights, through a file in the released format."""
    file = folder / "biwi_stage1.pth.tar"
    torch.save({"state_dict": state}, file)
    torch.manual_seed(6)
    made = MotionAutoencoder.build(settings, replace(FACTS, **facts)).eval()
    made.load_official(read_official(file))
    return made


@pytest.mark.parametrize("settings", BOTH, ids=["vocaset", "biwi"])
def test_a_released_file_loads(tmp_path, settings):
    state, batch = published(settings), clips([12])
    made = load(state, tmp_path, settings)
    codes = made.encode(batch.vertices[0], batch.template[0])
    assert torch.equal(codes, prior(settings, 5).encode(batch.vertices[0], batch.template[0]))
    assert all(torch.equal(value, state[name]) for name, value in made.state_dict().items())


def test_tables_may_be_missing_and_names_may_have_a_prefix(tmp_path):
    state = {f"module.{name}": value for name, value in published(VOCASET).items() if name not in TABLES}
    made = load(state, tmp_path, VOCASET)
    assert torch.equal(made.quantize.embedding.weight, state["module.quantize.embedding.weight"])


def test_a_table_that_is_none(tmp_path):
    state = published(VOCASET)
    state[TABLES[1]] = torch.rand(5000, 1, 24)
    with pytest.raises(DataError, match=r"stage1\.pth\.tar is damaged.*decoder_pos_embedding\.pe is not the usual"):
        load(state, tmp_path, VOCASET)


def test_the_second_stage_is_not_the_first(tmp_path):
    state = {"learnable_style_emb.weight": torch.zeros(8, 24), "audio_feature_map.weight": torch.zeros(24, 768)}
    with pytest.raises(DataError, match=r"stage1\.pth\.tar is CodeTalker's second stage.*give the first stage's file"):
        load(state, tmp_path, VOCASET)


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        (BIWI, "linear_around_codes = true (here false), output_bias = false (here true): it is another data set's"),
        (replace(VOCASET, codes=30), "was made with codes = 30 (here 12)"),
        (replace(VOCASET, layers=2), "was made with layers = 2 (here 3)"),
        (replace(VOCASET, feedforward=21), "was made with feedforward = 21 (here 20)"),
        (replace(VOCASET, hidden_size=36, tokens=6), "was made with hidden_size = 36 (here 24)"),
    ],
)
def test_files_of_other_sizes(tmp_path, theirs, said):
    with pytest.raises(DataError) as caught:
        load(published(theirs), tmp_path, VOCASET)
    assert said in str(caught.value)
    assert "biwi_stage1.pth.tar" in str(caught.value)


def test_tokens_are_told_by_the_linear_layers(tmp_path):
    with pytest.raises(DataError, match=r"was made with tokens = 3 \(here 4\): it is another data set's"):
        load(published(BIWI), tmp_path, replace(BIWI, tokens=4))


def test_a_file_for_another_topology(tmp_path):
    with pytest.raises(DataError, match=rf"was made with vertices = {VERTICES} \(here 30\): it is another data set's"):
        load(published(VOCASET), tmp_path, VOCASET, vertices=30)


def test_a_damaged_or_foreign_file_names_its_first_wrong_entries(tmp_path):
    state = published(VOCASET)
    state["quantise.weight"] = state.pop("encoder.squasher.0.0.bias")
    with pytest.raises(DataError, match=r"missing encoder\.squasher\.0\.0\.bias; unknown quantise\.weight"):
        load(state, tmp_path, VOCASET)
    with pytest.raises(DataError, match="does not fit this network: missing encoder"):
        load({"weight": torch.zeros(3)}, tmp_path, VOCASET)


def test_one_position_per_frame_is_all_that_is_checked():
    """DataFacts of another frame rate load too: nothing of the first stage depends on time."""
    made = MotionAutoencoder.build(VOCASET, DataFacts(VERTICES, 25.0, ("x",), 0, ""))
    made.load_official(published(VOCASET))
