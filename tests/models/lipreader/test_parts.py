"""The parts against their definitions, written out."""

from __future__ import annotations

import math
import random

import pytest
import torch

from faces.errors import DataError
from models.lipreader import attention
from models.lipreader.attention import Attention, RelativeAttention
from models.lipreader.decoder import Decoder
from models.lipreader.errors import IGNORED, accuracy, attention_loss, ctc_loss, taught
from models.lipreader.front_ends import FiveFrames, VideoFrontEnd
from models.lipreader.inputs import fitted, hide_spans, prepare_audio
from models.lipreader.positions import sinusoids


def literal_relative(layer: RelativeAttention, x: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Score by score, from the sum that defines it."""
    clips, frames, width = x.shape
    query, key, value = (layer.split(part(x)) for part in (layer.linear_q, layer.linear_k, layer.linear_v))
    out = torch.zeros_like(query)
    for clip in range(clips):
        for head in range(layer.heads):
            scores = torch.full((frames, frames), -math.inf)
            for i in range(frames):
                for j in range(frames):
                    place = layer.linear_pos(sinusoids(torch.tensor([i - j]), x))
                    place = place.view(layer.heads, -1)[head]
                    content = (query[clip, head, i] + layer.pos_bias_u[head]) @ key[clip, head, j]
                    score = content + (query[clip, head, i] + layer.pos_bias_v[head]) @ place
                    if inside[clip, j]:
                        scores[i, j] = score / math.sqrt(width // layer.heads)
            out[clip, head] = scores.softmax(-1) @ value[clip, head]
    return layer.merge(out)


@pytest.mark.parametrize("block", [2, 5, 256])
def test_relative_attention_is_its_definition(block, monkeypatch):
    monkeypatch.setattr(attention, "BLOCK", block)
    torch.manual_seed(0)
    layer = RelativeAttention(12, 3, 0.1).eval()
    x, inside = torch.randn(2, 7, 12), torch.arange(7) < torch.tensor([[7], [4]])
    distances = sinusoids(torch.arange(6, -7, -1), x)
    with torch.no_grad():
        torch.testing.assert_close(layer.attend(x, distances, inside), literal_relative(layer, x, inside))
        every = torch.ones(2, 7, dtype=torch.bool)
        torch.testing.assert_close(layer.attend(x, distances, None), literal_relative(layer, x, every))


def test_a_long_clip_needs_no_table_of_pairs_and_channels():
    """3,000 frames: the table alone would be 9,000,000 · 32 numbers, and one head's scores 9,000,000."""
    layer = RelativeAttention(32, 2, 0.0).eval()
    x = torch.randn(1, 3000, 32)
    largest = 0

    class Sizes(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            for one in out if isinstance(out, tuple) else (out,):
                largest = max(largest, one.numel() if isinstance(one, torch.Tensor) else 0)
            return out

    with torch.no_grad(), Sizes():
        layer.attend(x, sinusoids(torch.arange(2999, -3000, -1), x), None)
    assert largest <= 2 * attention.BLOCK * (3000 + attention.BLOCK)


def test_sinusoids_are_exact_far_away():
    table = sinusoids(torch.tensor([-100_000, 0, 100_000]), torch.zeros(6))
    rate = 10000.0 ** (-2 / 6)
    assert table[1].tolist() == [0, 1, 0, 1, 0, 1]
    assert table[2, 2].item() == pytest.approx(math.sin(100_000 * rate), abs=1e-7)
    assert torch.equal(table[0, ::2], -table[2, ::2])
    assert sinusoids(torch.arange(2), torch.zeros(5)).shape == (2, 5)


def test_attention_drops_weights_in_training():
    torch.manual_seed(0)
    layer = Attention(8, 2, 0.5)
    x = torch.randn(1, 6, 8)
    kept = layer.keys_values(x)
    assert not torch.equal(layer(x, kept), layer(x, kept))
    assert torch.equal(layer.eval()(x, kept), layer(x, kept))


def test_a_convolution_over_five_frames():
    torch.manual_seed(0)
    layer, x = FiveFrames(3), torch.randn(2, 9, 20, 20)
    literal = torch.nn.functional.conv3d(x[:, None], layer.weight, stride=(1, 2, 2), padding=(0, 3, 3))
    torch.testing.assert_close(layer(x), literal.transpose(1, 2).flatten(0, 1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("chunk", [1, 3, 64])
def test_the_video_front_end_in_chunks(chunk):
    torch.manual_seed(0)
    whole, x = VideoFrontEnd(2).eval(), torch.randn(2, 7, 1, 88, 88, requires_grad=True)
    parts = VideoFrontEnd(2).eval()
    parts.load_state_dict(whole.state_dict())
    parts.checkpoint_frames = chunk
    torch.testing.assert_close(parts(x), whole(x))
    gradients = [torch.autograd.grad(each(x).square().sum(), x)[0] for each in (whole, parts)]
    torch.testing.assert_close(*gradients)


def test_checkpoints_keep_no_pictures():
    """What is kept for the gradient is the pixels and the features, not what lies between."""
    kept = {}
    for frames in (0, 2):
        front, x = VideoFrontEnd(2).eval().requires_grad_(False), torch.randn(1, 8, 1, 88, 88, requires_grad=True)
        front.checkpoint_frames = frames
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda one, sizes=sizes: sizes.append(one.numel()) or one, lambda one: one
        ):
            front(x)
        kept[frames] = sum(sizes)
    overlapping = 4 * (2 + 4) * 88 * 88  # views of the pixels: four chunks of two frames and those around
    assert kept[2] == overlapping < kept[0] / 2


def test_training_norms_over_all_frames_and_never_in_chunks():
    torch.manual_seed(0)
    front, x = VideoFrontEnd(2).train(), torch.randn(1, 5, 1, 88, 88)
    whole = front(x)
    front.checkpoint_frames = 2
    torch.testing.assert_close(front(x), whole)


def test_decoder_states_are_those_of_the_whole_text():
    torch.manual_seed(0)
    decoder = Decoder(9, 12, 3, 20, 2, 0.1).eval()
    memory, pieces = torch.randn(6, 12), torch.randint(0, 9, (3, 70))
    with torch.no_grad():
        whole = decoder(pieces, memory.expand(3, -1, -1), None)
        written = decoder.begin(memory)
        steps = [decoder.step(written, pieces[:, 0])]
        written.keep(torch.tensor([2, 0, 1]))
        steps += [decoder.step(written, pieces[[2, 0, 1], i]) for i in range(1, 70)]
    torch.testing.assert_close(steps[0], whole[:, 0])
    for i, step in enumerate(steps[1:], 1):
        torch.testing.assert_close(step, whole[[2, 0, 1], i])


def test_the_attention_loss_is_kl_divergence():
    torch.manual_seed(0)
    logits, wanted = torch.randn(2, 4, 7), torch.tensor([[1, 2, 3, 6], [5, 6, IGNORED, IGNORED]])
    targets = torch.full((2, 4, 7), 0.1 / 6)
    targets.scatter_(2, wanted.clamp(min=0)[..., None], 0.9)
    each = (targets * (targets.log() - logits.log_softmax(-1))).sum(-1)
    torch.testing.assert_close(attention_loss(logits, wanted, 0.1), each[wanted >= 0].sum() / 2)
    plain = torch.nn.functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=-1, reduction="sum")
    torch.testing.assert_close(attention_loss(logits, wanted, 0.0), plain / 2)


def test_the_ctc_loss_is_a_sum_over_letters():
    torch.manual_seed(0)
    logits, texts = torch.randn(3, 6, 5), [[1, 2, 3], [4], []]
    alone = [
        torch.nn.functional.ctc_loss(
            own.log_softmax(-1)[:count, None], torch.tensor([text]), (count,), (len(text),), reduction="sum"
        )
        for own, count, text in zip(logits, [6, 4, 5], texts, strict=True)
    ]
    torch.testing.assert_close(ctc_loss(logits, [6, 4, 5], texts), sum(alone) / 3)
    assert ctc_loss(logits[:1], [2], [[1, 2, 3]]) == 0, "a text that does not fit costs nothing"


def test_teacher_forcing_and_accuracy():
    given, wanted = taught([[3, 4], [5]], 9, torch.device("cpu"))
    assert given.tolist() == [[9, 3, 4], [9, 5, 9]]
    assert wanted.tolist() == [[3, 4, 9], [5, 9, IGNORED]]
    logits = torch.nn.functional.one_hot(torch.tensor([[3, 3, 9], [5, 9, 0]]), 10).float()
    assert accuracy(logits, wanted).item() == pytest.approx(4 / 5)


def test_sound_is_fitted_before_it_is_normalised():
    wave = torch.randn(1000)
    made = prepare_audio(wave, 2)
    padded = torch.cat((wave, torch.zeros(280)))
    torch.testing.assert_close(made, (padded - padded.mean()) / torch.sqrt(padded.var(correction=0) + 1e-8))
    assert torch.equal(fitted(wave, 1), wave[:640])
    assert prepare_audio(torch.zeros(700), 1).eq(0).all(), "silence stays silence"
    with pytest.raises(DataError, match=r"one channel, \(samples,\), not an array of shape \(2, 5\)"):
        prepare_audio(torch.zeros(2, 5), 1)


def test_spans_of_silence_are_those_that_are_drawn():
    wave = torch.ones(40_000)
    hidden = hide_spans(wave, torch.Generator().manual_seed(3), random.Random(4))
    spans = torch.randint(0, 6400, (3, 2), generator=torch.Generator().manual_seed(3)).tolist()
    places, expected = random.Random(4), torch.ones(40_000)
    for bound, length in spans:
        start = places.randrange(40_000 - bound)
        expected[start : start + length] = 0
    assert torch.equal(hidden, expected)
    assert 0 < hidden.sum() < 40_000
    assert wave.all(), "what was given stays as it is"
    short = hide_spans(torch.ones(1), torch.Generator().manual_seed(3), random.Random(4))
    assert short.all(), "no place for a span that may be longer than the sound"
