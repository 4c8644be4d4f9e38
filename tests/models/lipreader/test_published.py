"""Released files of Auto-AVSR in all their layouts, and files that are not."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from faces.errors import DataError
from models.lipreader.net import LipReader
from models.lipreader.published import settings_of
from models.lipreader.sizes import Sizes
from models.official import read_official
from tests.models.lipreader.tiny import BOTH, LIPS, SMALL, network, sound_for, video

DEPTHWISE, BIAS = (
    f"encoder.encoders.0.{name}" for name in ("conv_module.depthwise_conv.weight", "self_attn.pos_bias_u")
)
NEWER = (("encoder.frontend.", "frontend."), ("encoder.embed.0.", "proj_encoder."))
OLDER = (
    (r"^(encoder|aux_encoder|decoder)\.embed\.", r"\1.input_layer."),
    (r"^(encoder|aux_encoder)\.after_norm\.", r"\1.norm."),
    (r"^decoder\.after_norm\.", "decoder.output_norm."),
)


def newer(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As files of one modality are laid out since 2025."""
    for theirs, ours in NEWER:
        state = {
            name.replace(theirs, ours) if name.startswith(theirs) else name: value for name, value in state.items()
        }
    return state


def older(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As older training code names parts, with tables of positions."""
    for theirs, ours in OLDER:
        state = {re.sub(theirs, ours, name): value for name, value in state.items()}
    return {**state, "decoder.input_layer.1.pe": torch.zeros(1, 7, 16), "encoder.input_layer.1.pe": torch.zeros(2)}


def written(state: dict[str, Tensor], folder: Path) -> Path:
    file = folder / "avsr_base.pth"
    torch.save(state, file)
    return file


def read_expert(file: Path) -> LipReader:
    """In the sizes that the file tells."""
    state = read_official(file)
    network = LipReader(settings_of({name: tuple(value.shape) for name, value in state.items()}, str(file)))
    network.load_official(state)
    return network.eval()


@pytest.mark.parametrize("layout", [dict, newer, older], ids=["2023", "2025", "older"])
@pytest.mark.parametrize("settings", BOTH, ids=["audio-visual", "video"])
def test_a_released_file_loads_in_every_layout(tmp_path, settings, layout):
    theirs = network(settings, seed=3)
    made = read_expert(written(layout(theirs.state_dict()), tmp_path))
    assert made.settings == settings
    assert not made.training
    with torch.no_grad():
        expected = theirs.encode(video(4), sound_for(settings, 4))
        assert torch.equal(made.encode(video(4), sound_for(settings, 4)), expected)
        pieces = torch.tensor([[11, 3, 4]])
        assert torch.equal(made.decoder(pieces, expected, None), theirs.decoder(pieces, expected, None))
    own = made.state_dict()
    assert all(torch.equal(own[name], value) for name, value in theirs.state_dict().items())


def test_sizes_are_told_by_the_file():
    settings = replace(
        SMALL, audio_width=8, audio_heads=4, audio_layers=1, audio_feedforward=10, decoder_feedforward=6, layers=3,
        kernel=7, front_width=2, fusion_width=9,
    )  # fmt: skip
    shapes = {name: tuple(value.shape) for name, value in network(settings).state_dict().items()}
    assert settings_of(shapes, "a file") == settings
    with torch.device("meta"):
        official = LipReader(Sizes())
    assert settings_of({n: tuple(v.shape) for n, v in official.state_dict().items()}, "a file") == Sizes()


def test_a_recogniser_of_sound_alone(tmp_path):
    state = network(SMALL).state_dict()
    sound = {
        name.replace("aux_encoder.", "encoder."): value
        for name, value in state.items()
        if not name.startswith(("encoder.", "fusion."))
    }
    for layout in (dict, newer):
        with pytest.raises(DataError, match=r"avsr_base\.pth is a recogniser of sound alone: give the audio-visual"):
            read_expert(written(layout(sound), tmp_path))


def test_another_networks_file(tmp_path):
    with pytest.raises(
        DataError, match=r"avsr_base\.pth is no lip reader of Auto-AVSR: it lacks encoder\.frontend.* and 6 more"
    ):
        read_expert(written({"audio_encoder.weight": torch.zeros(2)}, tmp_path))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.pop("encoder.after_norm.bias"), r"does not fit this network: missing encoder\.after_norm\.bias"),
        (lambda s: s.pop("ctc.ctc_lo.weight"), r"it lacks ctc\.ctc_lo\.weight"),
        (lambda s: s.update({"lm.weight": torch.zeros(1)}), r"unknown lm\.weight"),
        (lambda s: s.update({"ctc.ctc_lo.bias": torch.zeros(3)}), r"ctc\.ctc_lo\.bias is \(3,\) instead of \(12,\)"),
        (lambda s: s.update({"proj_decoder.weight": torch.zeros(3, 3)}), "a decoder of another width"),
        (lambda s: s.pop("fusion.fc1.weight"), r"is audio-visual and damaged: it lacks fusion\.fc1\.weight"),
        (lambda s: s.update({DEPTHWISE: torch.zeros(3)}), "shapes of its entries do not go together"),
        (lambda s: s.update({BIAS: torch.zeros(0, 3)}), "shapes of its entries do not go together"),
        (lambda s: s.update({BIAS: torch.zeros(3, 3)}), "another model's: width = 16 is no multiple of heads = 3"),
    ],
)  # fmt: skip
def test_damaged_files_name_what_is_wrong(tmp_path, change, said):
    state = dict(network(SMALL).state_dict())
    change(state)
    with pytest.raises(DataError, match=said) as caught:
        read_expert(written(state, tmp_path))
    assert "avsr_base.pth" in str(caught.value)


def test_a_file_that_would_run_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("run",))

    torch.save({"ctc.ctc_lo.weight": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(DataError, match="was not loaded"):
        read_expert(tmp_path / "evil.pth")
    with pytest.raises(DataError, match="does not exist"):
        read_expert(tmp_path / "absent.pth")


def test_weights_may_be_given_to_a_network_that_stands():
    theirs, made = network(LIPS, seed=3), network(LIPS)
    made.load_official(newer(theirs.state_dict()))
    assert torch.equal(made.ctc.ctc_lo.weight, theirs.ctc.ctc_lo.weight)
    with pytest.raises(DataError, match="the given state dict does not fit this network: missing aux_encoder"):
        network(SMALL).load_official(theirs.state_dict())
