"""Published files of SelfTalk: sizes, names, written as the released code writes them, and what must be refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from faces.errors import DataError
from models.official import published_name, read_official
from models.recognise import Released
from models.selftalk.face import SelfTalk
from models.selftalk.released import recognise
from models.selftalk.settings import Settings
from models.talking_face import DataFacts
from models.text import ENGLISH
from stages.bench.sizes import LARGE_ENCODER
from tests.models.all_faces import speech
from tests.models.released_files import ENCODER
from tests.models.tiny import SPEECH, SUBJECTS
from tests.models.tiny_selftalk import BIWI, BOTH, SILENT, VOCABULARY, VOCASET, clips, network, published

both = pytest.mark.parametrize("settings", BOTH, ids=["vocaset", "biwi"])
WAV2VEC = {"encoder": "some/encoder", "config": SPEECH}


def load(state: dict[str, Tensor], file: Path, settings: Settings) -> SelfTalk:
    torch.save(state, file)
    made = network(settings, seed=1, **WAV2VEC)
    made.load_official(read_official(file))
    return made


def refusal(state: dict[str, Tensor], file: Path, settings: Settings = VOCASET) -> str:
    with pytest.raises(DataError) as caught:
        load(state, file, settings)
    return str(caught.value)


# -- files of small networks -------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("beginning", ["", "module."])
def test_a_published_file_speaks_and_reads_as_its_network(tmp_path, settings, beginning):
    made = network(settings, **WAV2VEC)
    state = {f"{beginning}{name}": value for name, value in published(made).items()}
    loaded = load(state, tmp_path / "vocaset.pth", settings)
    assert torch.equal(loaded.predict_all([speech(41)])[0], made.predict_all([speech(41)])[0])
    batch = clips([60], [30])
    losses = made.losses(batch)
    for name, value in loaded.losses(batch).items():
        assert torch.equal(value, losses[name])


def test_a_network_without_an_interpreter_leaves_the_files_out(tmp_path):
    made = network(VOCASET, **WAV2VEC)
    loaded = load(published(made), tmp_path / "vocaset.pth", replace(VOCASET, **SILENT))
    assert torch.equal(loaded.predict_all([speech(41)])[0], made.predict_all([speech(41)])[0])


def test_the_file_of_another_data_set(tmp_path):
    said = refusal(published(network(BIWI, **WAV2VEC)), tmp_path / "biwi.pth")
    assert "biwi.pth does not fit this network" in said
    assert "audio_feature_map.weight is (16, 64) instead of (16, 32)" in said


def test_other_lips_and_letters(tmp_path):
    state = published(network(VOCASET, **WAV2VEC))
    assert "lip_map.weight is (24, 9) instead of (24, 12)" in refusal(
        state | {"lip_map.weight": torch.zeros(24, 9)}, tmp_path / "x.pth"
    )
    other = {"lm_head.weight": torch.zeros(8, 24), "lm_head.bias": torch.zeros(8)}
    assert "lm_head.weight is (8, 24) instead of (7, 24)" in refusal(state | other, tmp_path / "x.pth")


def test_an_incomplete_file(tmp_path):
    state = published(network(VOCASET, **WAV2VEC))
    del state["transformer.decoder.norm.weight"]
    assert "missing transformer.decoder.norm.weight" in refusal(state, tmp_path / "x.pth")


# -- what a file tells -------------------------------------------------------------------------------------------------


def told(settings: Settings) -> Released:
    made = network(settings, encoder="some/encoder", config=ENCODER)
    found = recognise({name: tuple(value.shape) for name, value in published(made).items()})
    assert found is not None
    return found


@both
def test_a_file_tells_its_sizes(settings):
    found, pairs = told(settings), settings.alignment == "pairs"
    assert (found.vertices, found.subjects, found.names, found.table) == (11, 1, ("anyone",), "")
    assert (found.classes, found.text_width, found.fps) == (len(VOCABULARY), 24, 25.0 if pairs else 0.0)
    assert found.settings == {
        "feature_dim": 16, "layers": 1, "feedforward": 0, "alignment": settings.alignment, "interpreter_layers": 2,
        "interpreter_feedforward": 20, "lip_vertices": 4, "classes": 7,
    }  # fmt: skip
    assert {name: found.encoder[name] for name in ENCODER} == ENCODER
    assert found.encoder_name == "the file's own encoder"


def test_shapes_that_do_not_go_together_are_of_no_file():
    made = network(VOCASET, encoder="some/encoder", config=ENCODER)
    shapes = {name: tuple(value.shape) for name, value in published(made).items()}
    assert recognise({**shapes, "audio_feature_map.weight": (16, 100)}) is None
    assert recognise({**shapes, "lip_map.weight": (24, 11)}) is None
    assert recognise({name: shape for name, shape in shapes.items() if not name.startswith("lip_map")}) is None


# -- official sizes ----------------------------------------------------------------------------------------------------


def official(vertices: int, lips: int, settings: Settings) -> SelfTalk:
    fps = 25.0 if settings.alignment == "pairs" else 30.0
    with torch.device("meta"):
        return SelfTalk.build(
            settings,
            DataFacts(
                vertices, fps, SUBJECTS, 512, "xlsr", LARGE_ENCODER, {"lips": range(lips)}, ENGLISH, text_width=1024
            ),
        )


# The file's 769.1 and 858.9 million, without its frozen recogniser: an encoder as large and a linear map to 33 letters.
OFFICIAL = [
    (5023, 254, Settings(), 769.1, 449.5),
    (23370, 4996, Settings(feature_dim=1024, alignment="pairs"), 858.9, 539.2),
]


@pytest.mark.parametrize(("vertices", "lips", "settings", "total", "trainable"), OFFICIAL, ids=["vocaset", "biwi"])
def test_official_sizes_and_names(vertices, lips, settings, total, trainable):
    made = official(vertices, lips, settings)
    recogniser = sum(p.numel() for p in made.audio_encoder.parameters()) + 33 * 1025
    count = sum(p.numel() for p in made.parameters())
    assert (count + recogniser) / 1e6 == pytest.approx(total, abs=0.05)
    assert sum(p.numel() for p in made.parameters() if p.requires_grad) / 1e6 == pytest.approx(trainable, abs=0.05)
    names = {published_name(name) for name in made.state_dict()}
    heard = [name for name in names if name.startswith("audio_encoder.")]
    assert len(names) + len(heard) + 2 == 1056
    shapes = {published_name(name): tuple(value.shape) for name, value in made.state_dict().items()}
    found = recognise(shapes)
    assert found is not None
    assert found.encoder_name == "jonatasgrosman/wav2vec2-large-xlsr-53-english"
    assert found.encoder["num_attention_heads"] == 16
    assert {name: getattr(settings, name) for name in ("feature_dim", "feedforward", "alignment")} == {
        name: found.settings[name] for name in ("feature_dim", "feedforward", "alignment")
    }
    assert (found.settings["interpreter_layers"], found.settings["interpreter_feedforward"]) == (6, 2048)
    assert (found.vertices, found.settings["lip_vertices"]) == (vertices, lips)
