"""CodeTalker's first stage beyond the golden cases: the published formulas, batches, training mode, precision."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from faces.errors import DataError
from models.codetalker_vq.autoencoder import MotionAutoencoder
from models.codetalker_vq.settings import Settings
from models.talking_face import Clips, DataFacts
from tests.models.literal_vq import Literal
from tests.models.tiny_vq import BIWI, BOTH, FACTS, VERTICES, VOCASET, clips, prior

both = pytest.mark.parametrize("settings", BOTH, ids=["vocaset", "biwi"])
LOSSES = ("loss", "reconstruction", "quantiser", "perplexity")


def one(batch: Clips, i: int) -> Clips:
    """Clip i of a batch, without its padding."""
    frames, rows = int(batch.frames[i]), slice(i, i + 1)
    own = {name: getattr(batch, name)[rows] for name in ("features", "feature_lengths", "template", "style", "frames")}
    return Clips(vertices=batch.vertices[rows, :frames], **own)


@both
@pytest.mark.parametrize("frames", [2, 3, 4, 5, 30])
def test_encoder_and_decoder_are_the_published_formulas(settings, frames):
    made, literal = prior(settings), Literal(prior(settings))
    offsets = torch.randn(1, frames, 3 * VERTICES)
    with torch.no_grad():
        features = made.features(offsets)
        quantised, _ = made.quantise(features)
        rebuilt = made.decode_features(quantised)
    assert torch.allclose(features[0], literal.encode(offsets[0]), atol=1e-4)
    assert torch.allclose(rebuilt[0], literal.decode(quantised[0]), atol=1e-4)
    assert features.shape == (1, frames, settings.tokens * settings.token_width)


@both
def test_a_frame_is_its_tokens_one_after_another(settings):
    made, features = prior(settings), torch.randn(2, 9, settings.tokens * settings.token_width)
    quantised, codes = made.quantise(features)
    assert codes.shape == (2, 9, settings.tokens)
    table, width = made.quantize.embedding.weight, settings.token_width
    for q in range(settings.tokens):
        token = features[1, 4, q * width : (q + 1) * width]
        assert codes[1, 4, q] == (table - token).square().sum(1).argmin()
    assert torch.equal(made.lookup(codes)[1, 4], table[codes[1, 4]].flatten())
    assert torch.allclose(quantised, made.lookup(codes), atol=1e-6)


@both
def test_losses_of_a_clip_are_the_published_ones(settings):
    settings = replace(settings, quantiser_weight=0.7, beta=0.4)
    made, batch = prior(settings), clips([20])
    offsets = batch.vertices - batch.template[:, None]
    with torch.no_grad():
        losses = made.losses(batch)
        features = made.features(offsets)
        quantised, codes = made.quantise(features)
        rebuilt = made.decode_features(quantised)
    shares = torch.bincount(codes.flatten(), minlength=settings.codes) / codes.numel()
    gap = F.mse_loss(made.lookup(codes), features)
    assert torch.allclose(losses["reconstruction"], (rebuilt - offsets).abs().mean())
    assert torch.allclose(losses["quantiser"], 1.4 * gap)
    assert torch.allclose(losses["loss"], losses["reconstruction"] + 0.7 * losses["quantiser"])
    assert torch.allclose(losses["perplexity"], (-(shares * (shares + 1e-10).log()).sum()).exp())
    assert torch.equal(losses["codes"], torch.bincount(codes.flatten(), minlength=settings.codes))
    validated = made.validation_losses(batch)
    assert {name: value.tolist() for name, value in validated.items()} == {
        name: value.tolist() for name, value in losses.items()
    }


# -- batches -----------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("frames", [[17, 5, 24, 2], [13, 13], [6, 30]])
def test_a_padded_batch_is_the_mean_of_its_clips(settings, frames):
    made, batch = prior(settings), clips(frames)
    together = made.losses(batch)
    alone = [made.losses(one(batch, i)) for i in range(len(frames))]
    for name in LOSSES:
        mean = torch.stack([losses[name] for losses in alone]).mean()
        assert torch.allclose(together[name], mean, rtol=1e-4), name
    assert torch.equal(together["codes"], torch.stack([losses["codes"] for losses in alone]).sum(0))
    assert int(together["codes"].sum()) == sum(frames) * settings.tokens
    parameters = list(made.parameters())
    padded = torch.autograd.grad(together["loss"], parameters)
    single = torch.autograd.grad(torch.stack([losses["loss"] for losses in alone]).mean(), parameters)
    for (name, _), a, b in zip(made.named_parameters(), padded, single, strict=True):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-5), name


@both
def test_what_stands_in_the_padding_does_not_matter(settings):
    made, batch = prior(settings), clips([17, 5, 24])
    losses = made.losses(batch)
    batch.vertices[1, 5:] = 1e3
    for name, value in made.losses(batch).items():
        assert torch.equal(value, losses[name])


@both
def test_every_clip_of_a_batch_gets_the_first_row_of_positions(settings):
    """The released table is indexed by the place in the batch; only place 0 is what a clip gets alone."""
    made, offsets = prior(settings), torch.randn(3, 10, 3 * VERTICES)
    with torch.no_grad():
        together = made.features(offsets)
        for i in range(3):
            assert torch.allclose(together[i], made.features(offsets[i : i + 1])[0], atol=1e-5)


@both
def test_parts_mask_padding_too(settings):
    made, offsets = prior(settings), torch.randn(2, 10, 3 * VERTICES)
    with torch.no_grad():
        features = made.features(offsets, [10, 6])
        assert torch.allclose(features[1, :6], made.features(offsets[1:, :6])[0], atol=1e-5)
        rebuilt = made.decode_features(features, [10, 6])
        assert torch.allclose(rebuilt[1, :6], made.decode_features(features[1:, :6])[0], atol=1e-5)
        assert torch.allclose(rebuilt[0], made.decode_features(features[:1])[0], atol=1e-5)


# -- codes -------------------------------------------------------------------------------------------------------------


@both
def test_codes_and_back(settings):
    made, batch = prior(settings), clips([14])
    codes = made.encode(batch.vertices[0], batch.template[0])
    assert codes.shape == (14, settings.tokens)
    assert codes.dtype == torch.int64
    motion = made.decode(codes, batch.template[0])
    assert motion.shape == (14, 3 * VERTICES)
    assert not motion.requires_grad
    with torch.no_grad():
        error = (motion - batch.vertices[0]).abs().mean()
        assert torch.allclose(error, made.losses(batch)["reconstruction"], atol=1e-5)


def test_decoding_uses_the_very_rows_of_the_codebook():
    made = prior(VOCASET)
    codes = torch.randint(VOCASET.codes, (6, VOCASET.tokens))
    rows = made.quantize.embedding.weight[codes].flatten(1)
    with torch.no_grad():
        expected = made.decode_features(rows[None])[0]
    assert torch.allclose(made.decode(codes, torch.zeros(3 * VERTICES)), expected, atol=1e-6)


@both
def test_the_unit_of_motion_changes_no_motion(settings):
    """Released weights loaded into a network that counts in other units give the same codes and the same motion."""
    plain = prior(settings)
    scaled = MotionAutoencoder.build(replace(settings, motion_scale=0.01), FACTS).eval()
    scaled.load_official(plain.state_dict())
    batch = clips([14])
    codes = plain.encode(batch.vertices[0], batch.template[0])
    assert torch.equal(scaled.encode(batch.vertices[0], batch.template[0]), codes)
    motions = [made.decode(codes, batch.template[0]) for made in (plain, scaled)]
    assert torch.allclose(*motions, atol=1e-5)
    losses = [made.losses(batch) for made in (plain, scaled)]
    assert torch.allclose(losses[0]["reconstruction"], 0.01 * losses[1]["reconstruction"], rtol=1e-4)
    assert torch.allclose(losses[0]["quantiser"], losses[1]["quantiser"], rtol=1e-4)


# -- training mode, seeds, precision, devices --------------------------------------------------------------------------


@both
def test_dropout_acts_in_training_only(settings):
    made, batch = prior(settings), clips([20, 9])
    calm = made.losses(batch)["loss"]
    assert torch.equal(made.losses(batch)["loss"], calm)
    made.train()

    def loss(seed: int) -> float:
        torch.manual_seed(seed)
        return float(made.losses(batch)["loss"].detach())

    assert loss(1) == loss(1)
    assert loss(1) != loss(2)
    quiet = MotionAutoencoder.build(replace(settings, dropout=0.0), FACTS).train()
    quiet.load_state_dict(made.state_dict())
    assert torch.allclose(quiet.losses(batch)["loss"], calm, rtol=1e-5)


@both
def test_initialisation_follows_the_seed(settings):
    def fresh(seed: int) -> dict[str, Tensor]:
        torch.manual_seed(seed)
        return MotionAutoencoder.build(settings, FACTS).state_dict()

    first, again, other = fresh(3), fresh(3), fresh(4)
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert not torch.equal(first["quantize.embedding.weight"], other["quantize.embedding.weight"])
    assert first["quantize.embedding.weight"].abs().max() <= 1 / settings.codes


@both
def test_training_learns_motion(settings):
    torch.manual_seed(0)
    made = MotionAutoencoder.build(replace(settings, dropout=0.0), FACTS)
    batch = clips([20, 15])
    wave = torch.sin(torch.arange(20.0)[:, None] / 3 + torch.rand(3 * VERTICES))
    batch = replace(batch, vertices=batch.template[:, None] + torch.stack((wave, wave.cumsum(1) / 3)))
    optimiser = torch.optim.AdamW(made.parameters(), lr=3e-3)
    errors = []
    for _ in range(60):
        optimiser.zero_grad()
        losses = made.losses(batch)
        losses["loss"].backward()
        optimiser.step()
        errors.append(float(losses["reconstruction"].detach()))
    assert errors[-1] < 0.4 * errors[0]


@both
def test_every_parameter_learns(settings):
    made = prior(settings)
    made.losses(clips([20, 9]))["loss"].backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad.abs().max() > 0, name


@both
def test_autocast(settings):
    made, batch = prior(settings), clips([20, 9])
    exact = made.losses(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = made.train().losses(batch)
        rough["loss"].backward()
        features = made.eval().features(batch.vertices[:, :20])
        quantised, codes = made.quantise(features)
    assert torch.allclose(rough["reconstruction"], exact["reconstruction"], rtol=0.1)
    assert quantised.dtype == torch.float32
    assert torch.equal(codes, made.quantise(features.float())[1])


@both
def test_every_tensor_follows_the_network_to_its_device(settings):
    """The meta device refuses to mix with the CPU as a GPU does, and everybody has one. (Padding needs values.)"""
    with torch.device("meta"):
        made = MotionAutoencoder.build(settings, FACTS).train()
    batch = clips([20, 20])
    moved = replace(batch.to("meta"), frames=batch.frames)
    losses = made.losses(moved)
    assert {losses[name].device.type for name in losses} == {"meta"}
    codes = made.eval().encode(moved.vertices[0], moved.template[0])
    assert codes.shape == (20, settings.tokens)
    assert made.decode_features(made.lookup(codes[None])).device.type == "meta"


# -- official sizes ----------------------------------------------------------------------------------------------------

OFFICIAL = [
    (Settings(), 5023, 131_653_341, 147),
    (
        Settings(tokens=8, token_width=128, linear_around_codes=True, output_bias=False),
        23370,
        246_477_824,
        150,
    ),
]


@pytest.mark.parametrize(("settings", "vertices", "parameters", "entries"), OFFICIAL, ids=["vocaset", "biwi"])
def test_official_sizes_and_names(settings, vertices, parameters, entries):
    with torch.device("meta"):
        made = MotionAutoencoder.build(settings, DataFacts(vertices, 30.0, "abc", 0, ""))
    assert sum(p.numel() for p in made.parameters()) == parameters
    names = set(made.state_dict())
    assert names == _published_names(settings)
    assert len(names) + 2 == entries  # both tables of positions are a formula here


def _published_names(settings: Settings) -> set[str]:
    affine = ("weight", "bias")
    modules = ["encoder.vertice_mapping.0", "encoder.squasher.0.0", "decoder.expander.0.0"]
    for part in ("encoder", "decoder"):
        modules.append(f"{part}.{part}_linear_embedding.net")
        for i in range(2 * settings.layers):
            block = f"{part}.{part}_transformer.net.{i}.fn"
            modules += [f"{block}.norm"] + ([f"{block}.fn.l1", f"{block}.fn.l2"] if i % 2 else [f"{block}.fn.to_out"])
    if settings.linear_around_codes:
        modules += ["encoder.encoder_linear_embedding_post.net", "decoder.decoder_linear_embedding_pre.net"]
    names = {f"{module}.{half}" for module in modules for half in affine}
    for part in ("encoder", "decoder"):
        names |= {f"{part}.{part}_transformer.net.{2 * i}.fn.fn.to_qkv.weight" for i in range(settings.layers)}
    names |= {"quantize.embedding.weight", "decoder.vertice_map_reverse.weight"}
    return names | ({"decoder.vertice_map_reverse.bias"} if settings.output_bias else set())


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"heads": 5}, "hidden_size = 24 is no multiple of heads = 5"),
        ({"tokens": 5}, "hidden_size = 24 must be tokens · token_width = 30"),
        ({"quant_factor": 1}, "quant_factor = 1 .* only 0 is built"),
    ],
)
def test_settings_that_do_not_go_together(change, problem):
    with pytest.raises(DataError, match=problem):
        MotionAutoencoder.build(replace(VOCASET, **change), FACTS)


def test_with_linear_layers_the_sizes_are_free():
    assert list(replace(BIWI, tokens=2, token_width=7).problems()) == []
    assert list(Settings().problems()) == []


def test_a_clip_of_one_frame():
    made, batch = prior(VOCASET), clips([9, 1])
    sentence = "a clip of one motion frame has no codes"
    with pytest.raises(DataError, match=sentence):
        made.losses(batch)
    with pytest.raises(DataError, match=sentence):
        made.encode(batch.vertices[1, :1], batch.template[1])
    with pytest.raises(DataError, match=sentence):
        made.decode(torch.zeros(1, VOCASET.tokens, dtype=torch.int64), batch.template[1])


def test_motion_of_another_topology():
    with pytest.raises(DataError, match="trained for 7 vertices, not for 30"):
        prior(VOCASET).encode(torch.zeros(5, 90), torch.zeros(90))


@pytest.mark.parametrize(
    "codes", [torch.full((5, 4), 12), torch.zeros(5, 3, dtype=torch.int64), -torch.ones(5, 4).long()]
)
def test_codes_of_another_prior(codes):
    with pytest.raises(DataError, match="not of this motion prior, which has 4 tokens and 12 codes"):
        prior(VOCASET).decode(codes, torch.zeros(3 * VERTICES))


def test_a_prior_hears_nothing():
    assert Settings.hears is False
