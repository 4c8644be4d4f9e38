"""Whose a released file is and how large its network: from names and shapes, without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from faces.errors import DataError
from models.codetalker import released as codetalker_file
from models.codetalker_vq import released as prior_file
from models.faceformer import released as faceformer_file
from models.recognise import unlike
from models.selftalk import released as selftalk_file
from models.talkingstyle import released as talkingstyle_file
from models.torch_shapes import read_shapes
from tests.models import tiny_selftalk
from tests.models.released_files import (
    BIWI_PRIOR,
    ENCODER,
    PRIOR,
    codetalker,
    faceformer,
    motion_prior,
    released,
    talkingstyle,
    write,
)

ROOT = Path(__file__).parents[2]
KNOWN = {
    "faceformer": faceformer_file,
    "codetalker": codetalker_file,
    "codetalker-vq": prior_file,
    "selftalk": selftalk_file,
    "talkingstyle": talkingstyle_file,
}


def shapes_of(state: dict[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in state.items()}


@pytest.mark.parametrize("wrapped", [False, True])
def test_names_and_shapes_are_those_that_torch_reads(tmp_path, wrapped):
    state = released(faceformer())
    saved = {"epoch": 3, "state_dict": {f"module.{name}": value for name, value in state.items()}}
    torch.save(saved if wrapped else state, tmp_path / "x.pth")
    assert read_shapes(tmp_path / "x.pth") == shapes_of(state)


def test_a_state_dict_with_metadata_and_parameters(tmp_path):
    """What `network.state_dict()` is: an OrderedDict that carries an attribute, and here parameters as they are."""
    network = faceformer()
    state = network.state_dict(keep_vars=True)
    torch.save(state, tmp_path / "x.pth")
    assert read_shapes(tmp_path / "x.pth") == shapes_of(dict(state))


def test_reading_shapes_loads_no_torch(tmp_path):
    file = write(motion_prior(), tmp_path / "x.pth.tar")
    code = (
        "import sys; from pathlib import Path; from models.torch_shapes import read_shapes; import models.recognise\n"
        "import models.faceformer.released, models.codetalker.released, models.codetalker_vq.released\n"
        "import models.talkingstyle.released\n"
        "read_shapes(Path(sys.argv[1])); print([m for m in ('torch', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("content", [b"", b"PK\3\4 nothing", b"\x80\x02}q\x00."])
def test_what_is_no_torch_file(tmp_path, content):
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.pth"):
        read_shapes(tmp_path / "x.pth")


def test_a_file_without_a_state_dict(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "x.pth")
    with pytest.raises(DataError, match="holds no state dict"):
        read_shapes(tmp_path / "x.pth")


def test_faceformer_tells_its_sizes():
    found = faceformer_file.recognise(shapes_of(released(faceformer(vertices=11, subjects=3))))
    assert found is not None
    assert (found.vertices, found.subjects, found.table) == (11, 3, "PPE.pe")
    assert found.settings == {"feature_dim": 16, "layers": 1, "feedforward": 0}
    assert found.encoder_name == "the file's own encoder"
    told = {name: found.encoder[name] for name in ENCODER}
    assert told == ENCODER


def test_the_papers_encoder_is_called_by_its_name():
    shapes = shapes_of(released(faceformer()))
    wide = {name: tuple({64: 768, 16: 512}.get(size, size) for size in shape) for name, shape in shapes.items()}
    deep = {f"audio_encoder.encoder.layers.{layer}.x": (1,) for layer in range(12)}
    found = faceformer_file.recognise({**wide, **deep})
    assert found is not None
    assert found.encoder_name == "facebook/wav2vec2-base-960h"
    assert found.encoder["num_attention_heads"] == 12


def test_talkingstyle_tells_its_sizes_and_the_larger_encoder():
    shapes = shapes_of(released(talkingstyle(vertices=11, subjects=3)))
    found = talkingstyle_file.recognise(shapes)
    assert found is not None
    assert (found.vertices, found.subjects, found.table) == (11, 3, "PPE.pe")
    assert found.settings == {"feature_dim": 16, "layers": 3, "feedforward": 0}
    assert found.encoder_name == "the file's own encoder"
    large = {"model_type": "hubert", "conv_bias": True, "feat_extract_norm": "layer", "do_stable_layer_norm": True}
    assert found.encoder.items() >= (ENCODER | large).items()
    wide = {name: tuple({64: 1024, 16: 512}.get(size, size) for size in shape) for name, shape in shapes.items()}
    deep = {f"audio_encoder.encoder.layers.{layer}.x": (1,) for layer in range(24)}
    found = talkingstyle_file.recognise({**wide, **deep})
    assert found is not None
    assert found.encoder_name == "facebook/hubert-large-ls960-ft"
    assert found.encoder["num_attention_heads"] == 16
    assert talkingstyle_file.recognise({**shapes, "vertice_encoder.weight": (16, 34)}) is None
    assert talkingstyle_file.recognise({**shapes, "vertice_decoder.weight": (36, 16)}) is None


def test_codetalker_tells_its_sizes():
    found = codetalker_file.recognise(shapes_of(released(codetalker(motion_prior(), subjects=2))))
    assert found is not None
    assert (found.vertices, found.subjects, found.settings["layers"]) == (11, 2, 2)


@pytest.mark.parametrize("settings", [PRIOR, BIWI_PRIOR], ids=["vocaset", "biwi"])
def test_the_motion_prior_tells_its_settings(settings):
    found = prior_file.recognise(shapes_of(released(motion_prior(settings=settings))))
    assert found is not None
    assert found.vertices == 11
    assert all(getattr(settings, name) == value for name, value in found.settings.items())
    assert (found.subjects, found.encoder_name) == (0, "")


def test_no_model_takes_another_models_file():
    prior = motion_prior()
    files = {
        "faceformer": faceformer(),
        "codetalker": codetalker(prior),
        "codetalker-vq": prior,
        "talkingstyle": talkingstyle(),
    }
    states = {model: released(network) for model, network in files.items()}
    states["selftalk"] = tiny_selftalk.published(
        tiny_selftalk.network(tiny_selftalk.VOCASET, encoder="some/encoder", config=ENCODER)
    )
    for model, state in states.items():
        shapes = shapes_of(state)
        assert [name for name, module in KNOWN.items() if module.recognise(shapes)] == [model]


def test_a_near_miss_says_what_lacks_and_what_is_odd():
    shapes = shapes_of(released(faceformer()))
    shapes["object_vector.weight"] = shapes.pop("obj_vector.weight")
    told = unlike(shapes, {model: module.SIGNATURE for model, module in KNOWN.items()})
    assert told.startswith("8 of the 9 entries that mark faceformer are there, missing obj_vector.weight, odd ")
    assert "object_vector.weight (16, 3)" in told
    assert "that mark codetalker are there" in told


def test_a_file_of_something_else():
    told = unlike({"conv1.weight": (64, 3, 7, 7)}, {"faceformer": faceformer_file.SIGNATURE})
    assert told == "it has no entry of any (1 entries: conv1.weight (64, 3, 7, 7))"
