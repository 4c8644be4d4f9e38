"""The biased decoder in its three forms, against `torch.nn.TransformerDecoder` with explicit masks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from models.decoder import BiasedDecoder
from models.folded import decode_folded
from models.positions import alignment_mask, temporal_bias

BATCH, FRAMES, DIM, HEADS, PERIOD = 3, 40, 16, 4, 7
SIZES = [(1, 1), (2, 1), (1, 3), (2, 3)]
each_size = pytest.mark.parametrize(("per_frame", "layers"), SIZES)


def make(per_frame: int, layers: int, dropout: float = 0.1) -> BiasedDecoder:
    torch.manual_seed(per_frame + 10 * layers)
    decoder = BiasedDecoder(
        dim=DIM, heads=HEADS, feedforward=24, layers=layers, period=PERIOD, per_frame=per_frame, dropout=dropout
    )
    for parameter in decoder.parameters():
        nn.init.normal_(parameter, std=0.4)
    return decoder.eval()


def library(decoder: BiasedDecoder, tokens: Tensor, memory: Tensor) -> Tensor:
    """The same weights in the library's decoder, with the masks of the paper."""
    layer = nn.TransformerDecoderLayer(DIM, HEADS, 24, batch_first=True)
    whole = nn.TransformerDecoder(layer, len(decoder.layers)).eval()
    whole.load_state_dict(decoder.state_dict())
    bias = temporal_bias(tokens.shape[1], HEADS, PERIOD).repeat(len(tokens), 1, 1)
    hidden = alignment_mask(tokens.shape[1], memory.shape[1], decoder.per_frame)
    return whole(tokens, memory, tgt_mask=bias, memory_mask=hidden)


def inputs(per_frame: int) -> tuple[Tensor, Tensor]:
    return torch.randn(BATCH, FRAMES, DIM), torch.randn(BATCH, FRAMES * per_frame, DIM)


@each_size
def test_whole_sequence_equals_the_library(per_frame, layers):
    decoder, (tokens, memory) = make(per_frame, layers), inputs(per_frame)
    assert torch.allclose(decoder(tokens, memory), library(decoder, tokens, memory), atol=2e-5)


@each_size
@pytest.mark.parametrize("gradients", [True, False])
def test_frame_by_frame_equals_whole_sequence(per_frame, layers, gradients):
    decoder, (tokens, memory) = make(per_frame, layers), inputs(per_frame)
    with torch.set_grad_enabled(gradients):
        decoding = decoder.begin(memory)
        steps = [decoding.step(tokens[:, i : i + 1]) for i in range(FRAMES)]
        assert torch.allclose(torch.cat(steps, dim=1), decoder(tokens, memory), atol=2e-5)


@each_size
@pytest.mark.parametrize("parts", [[1] * FRAMES, [3, 30, 7], [39, 1]])
def test_memory_may_come_in_parts(per_frame, layers, parts):
    """Keys and values outgrow their room several times."""
    decoder, (tokens, memory) = make(per_frame, layers), inputs(per_frame)
    with torch.no_grad():
        pieces = memory.split([per_frame * part for part in parts], dim=1)
        decoding, steps = decoder.begin(pieces[0]), []
        for part, following in zip(parts, [*pieces[1:], None], strict=True):
            for _ in range(part):
                steps.append(decoding.step(tokens[:, len(steps) : len(steps) + 1]))
            if following is not None:
                decoding.extend(following)
        assert torch.allclose(torch.cat(steps, dim=1), decoder(tokens, memory), atol=2e-5)


def test_memory_that_comes_too_early_is_an_error():
    decoding = make(1, 1).begin(torch.randn(1, 2, DIM))
    with pytest.raises(ValueError, match="frames 0 to 2 are still to be decoded"):
        decoding.extend(torch.randn(1, 2, DIM))


@each_size
def test_gradients_frame_by_frame_equal_whole_sequence(per_frame, layers):
    decoder, (tokens, memory) = make(per_frame, layers), inputs(per_frame)
    weight = torch.randn(BATCH, FRAMES, DIM)

    def gradients(output: Tensor) -> list[Tensor]:
        return list(torch.autograd.grad((weight * output).sum(), list(decoder.parameters())))

    decoding = decoder.begin(memory)
    steps = torch.cat([decoding.step(tokens[:, i : i + 1]) for i in range(FRAMES)], dim=1)
    for one, other in zip(gradients(steps), gradients(decoder(tokens, memory)), strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-4 * float(other.abs().max() + 1e-3))


@each_size
@pytest.mark.parametrize("memories", [1, BATCH])
def test_folded_form_equals_steps_with_feedback(per_frame, layers, memories):
    decoder, (given, memory) = make(per_frame, layers), inputs(per_frame)
    memory, fold = memory[:memories], 0.2 * torch.randn(DIM, DIM)
    with torch.no_grad():
        decoding, outputs = decoder.begin(memory), [torch.zeros(BATCH, 1, DIM)]
        for i in range(FRAMES):
            outputs.append(decoding.step(outputs[-1] @ fold.T + given[:, i : i + 1]))
        folded = decode_folded(decoder, memory, fold, given)
    assert torch.allclose(torch.cat(outputs[1:], dim=1), folded, atol=2e-5)
    assert not folded.is_inference()


@each_size
def test_one_memory_serves_any_rows_step_by_step(per_frame, layers):
    """In eval mode without gradients a single pair memory is multiplied out; rows that end change nothing for it."""
    decoder, (tokens, memory) = make(per_frame, layers).eval(), inputs(per_frame)
    with torch.no_grad():
        whole = decoder(tokens, memory[:1])
        decoding = decoder.begin(memory[:1])
        decoding.keep([0] * BATCH)
        folded = [type(lookup).__name__ == "_FoldedPair" for lookup in decoding._lookups]
        assert folded == [per_frame == 2] * layers
        for i in range(10):
            step = decoding.step(tokens[:, i : i + 1])
            assert torch.allclose(step[:, 0], whole[:, i], atol=2e-5)
        decoding.keep([2, 0])
        for i in range(10, FRAMES):
            left = decoding.step(tokens[[2, 0], i : i + 1])
            assert torch.allclose(left[:, 0], whole[[2, 0], i], atol=2e-5)


@each_size
def test_items_that_end_leave_the_others_alone(per_frame, layers):
    """Two clips serve three rows, of which the middle one ends: what is left goes on as if it had been alone."""
    decoder, (tokens, memory) = make(per_frame, layers), inputs(per_frame)
    with torch.no_grad():
        whole = decoder(tokens, memory[[0, 1, 0]])
        decoding = decoder.begin(memory[:2])
        decoding.keep([0, 1, 0])
        for i in range(10):
            decoding.step(tokens[:, i : i + 1])
        decoding.keep([2, 0])
        for i in range(10, FRAMES):
            left = decoding.step(tokens[[2, 0], i : i + 1])
            assert torch.allclose(left[:, 0], whole[[2, 0], i], atol=2e-5)


def test_an_odd_memory_step_belongs_to_nobody():
    decoder, (tokens, memory) = make(2, 1), inputs(2)
    longer = torch.cat((memory, torch.full((BATCH, 1, DIM), 1e3)), dim=1)
    assert torch.allclose(decoder(tokens, longer), decoder(tokens, memory))
    assert decoder.begin(longer).frames == FRAMES


def test_dropout_acts_on_the_single_weight_per_frame_and_head():
    attention = make(1, 1, dropout=0.5).layers[0].multihead_attn.train()
    with torch.no_grad():
        attention.out_proj.weight.copy_(torch.eye(DIM))
        attention.out_proj.bias.zero_()
        memory = torch.randn(1, 200, DIM)
        values = attention.project(memory, 2, 3)[0].transpose(1, 2)  # (1, T, H, e)
        seen = attention.prepare(memory)(memory, slice(200)).unflatten(-1, (HEADS, -1))
    ratio = seen / values
    assert torch.allclose(ratio, ratio[..., :1].expand_as(ratio), atol=1e-4)
    kept = ratio[..., 0] > 1
    assert torch.allclose(ratio[..., 0][kept], torch.tensor(2.0), atol=1e-4)
    assert 0.4 < kept.float().mean() < 0.6
