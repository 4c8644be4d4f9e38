"""Decoding against the published recursions, literally and slowly, and against all ways that spell a text."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from faces.errors import DataError
from models.lipreader import ctc_prefix
from models.lipreader.ctc_prefix import NEVER, PrefixScores
from models.lipreader.decoder import Decoder
from models.lipreader.reading import BeamSearch, read, read_greedily
from tests.models.lipreader.tiny import LIPS, network, video

CLASSES = 5
END = CLASSES - 1


def literal_states(x: np.ndarray, text: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """r^n and r^b of a text, frame by frame as published."""
    frames = len(x)
    label, blank = np.full(frames, NEVER), np.cumsum(x[:, 0])
    for n, piece in enumerate(text):
        before = blank if n and piece == text[n - 1] else np.logaddexp(label, blank)
        made, silent = np.full(frames, NEVER), np.full(frames, NEVER)
        if n == 0:
            made[0] = x[0, piece]
        for t in range(max(n, 1), frames):
            made[t] = np.logaddexp(made[t - 1], before[t - 1]) + x[t, piece]
            silent[t] = np.logaddexp(made[t - 1], silent[t - 1]) + x[t, 0]
        label, blank = made, silent
    return label, blank


def literal_score(x: np.ndarray, text: tuple[int, ...], piece: int) -> float:
    """log ψ(text · piece), as published."""
    if piece == 0:
        return NEVER
    label, blank = literal_states(x, text)
    if piece == x.shape[1] - 1:
        return float(np.logaddexp(label[-1], blank[-1]))
    start = max(len(text), 1)
    before = blank if text and piece == text[-1] else np.logaddexp(label, blank)
    first = x[0, piece] if not text else NEVER
    return float(np.logaddexp.reduce([first, *(before[t - 1] + x[t, piece] for t in range(start, len(x)))]))


def spelt(way: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(one for i, one in enumerate(way) if one and (i == 0 or one != way[i - 1]))


def test_prefix_scores_are_sums_over_all_ways():
    """ψ of a text is the probability of all ways whose text begins with it, and with an end, of those that spell it."""
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    chances = logits.double().softmax(-1).numpy()
    ways = {
        way: math.prod(chances[t, one] for t, one in enumerate(way)) for way in itertools.product(range(4), repeat=5)
    }
    prefixes = PrefixScores(logits, end=3)
    state, last = prefixes.begin(), torch.tensor([3])
    for text in [(1,), (1, 1), (1, 1, 2)]:
        asked = torch.tensor([[1, 2, 3]])
        found = prefixes.scores(state, last, asked).exp()[0].tolist()
        so_far = text[:-1]
        for piece, got in zip((1, 2), found[:2], strict=True):
            begun = (*so_far, piece)
            total = sum(chance for way, chance in ways.items() if spelt(way)[: len(begun)] == begun)
            # Ways over the end's class are among them, as they are among the frames' probabilities.
            assert got == pytest.approx(total, rel=1e-9)
        assert found[2] == pytest.approx(sum(c for way, c in ways.items() if spelt(way) == so_far), rel=1e-9)
        piece = torch.tensor([text[-1]])
        state = prefixes.extend(state, last, piece, prefixes.scores(state, last, piece[None])[0])
        last = piece


@pytest.mark.parametrize("frames", [1, 2, 3, 9])
@pytest.mark.parametrize("most", [1, 1 << 22])
def test_prefix_scores_are_the_published_recursion(frames, most, monkeypatch):
    monkeypatch.setattr(ctc_prefix, "MOST", most)
    draw = torch.Generator().manual_seed(frames)
    logits = 3 * torch.randn(frames, CLASSES, generator=draw)
    x = logits.double().log_softmax(-1).numpy()
    prefixes, texts = PrefixScores(logits, END), [()]
    state, last = prefixes.begin(), torch.tensor([END])
    for _ in range(frames):
        pieces = torch.arange(CLASSES).expand(len(texts), -1)
        found = prefixes.scores(state, last, pieces)
        for text, row in zip(texts, found, strict=True):
            for piece in range(CLASSES):
                expected = literal_score(x, text, piece)
                assert (
                    row[piece].item() == pytest.approx(expected, rel=1e-9, abs=1e-9)
                    or max(expected, row[piece].item()) < 0.9 * NEVER
                )
        chosen = torch.randint(0, len(texts), (3,), generator=draw)
        new = torch.randint(1, END, (3,), generator=draw)
        state = prefixes.extend(state.keep(chosen), last[chosen], new, found[chosen, new])
        texts = [(*texts[i], piece) for i, piece in zip(chosen.tolist(), new.tolist(), strict=True)]
        last = new
        for number, text in enumerate(texts):
            for got, expected in zip((state.label[number], state.blank[number]), literal_states(x, text), strict=True):
                possible = expected > 0.9 * NEVER
                np.testing.assert_allclose(got.numpy()[possible], expected[possible], rtol=1e-9, atol=1e-9)
                assert (got.numpy()[~possible] < 0.9 * NEVER).all()


def literal_search(decoder: Decoder, features: torch.Tensor, logits: torch.Tensor, beam: int, weight: float):
    """The published search: every text is decoded anew at every step, and scored frame by frame."""
    x, (frames, classes) = logits.double().log_softmax(-1).numpy(), logits.shape
    end = classes - 1
    running, ended = [((end,), 0.0, 0.0, 0.0)], []
    for step in range(frames):
        pairs = []
        for text, score, said, heard in running:
            own = decoder(torch.tensor([text]), features[None], None)[0, -1].double().log_softmax(-1).numpy()
            asked = int(1.5 * beam)
            scored = set(np.argsort(-own)[:asked]) | {end} if asked < classes and weight < 1 else set(range(classes))
            before = literal_score(x, text[1:-1], text[-1]) if len(text) > 1 else 0.0
            for piece in range(classes):
                psi = literal_score(x, text[1:], piece) if piece in scored else NEVER
                gain = psi - before
                total = score + (1 - weight) * own[piece] + weight * gain
                pairs.append(((*text, piece), total, said + own[piece], heard + gain))
        best = sorted(pairs, key=lambda one: -one[1])[:beam]
        if step == frames - 1:
            best = [((*text, end), *scores) for text, *scores in best]
        running = [one for one in best if one[0][-1] != end]
        ended += [one for one in best if one[0][-1] == end]
        over = 0
        for length in (step, step - 1, step - 2):
            same = [one[1] for one in ended if len(one[0]) == length]
            over += bool(same) and max(same) - max(one[1] for one in ended) < -10
        if over == 3 or not running:
            break
    return sorted(ended, key=lambda one: -one[1])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("beam", "weight"), [(1, 0.1), (2, 0.1), (3, 0.5), (9, 0.1), (3, 0.0), (3, 1.0)])
@torch.no_grad()
def test_the_search_is_the_published_one(seed, beam, weight):
    classes = 7
    torch.manual_seed(seed)
    decoder = Decoder(classes, 12, 3, 20, 2, 0.1).eval()
    for parameter in decoder.parameters():
        parameter.mul_(1.7)
    features, logits = torch.randn(9, 12), 2 * torch.randn(9, classes)
    found = BeamSearch(decoder, features, logits, beam, weight).run()
    expected = literal_search(decoder, features, logits, beam, weight)
    assert len(found) == len(expected)
    for ours, (text, score, said, heard) in zip(found, expected, strict=True):
        if score < -1e6:  # texts that CTC cannot spell are all as bad
            continue
        assert (classes - 1, *ours.pieces, *[classes - 1] * ours.ends) == text
        assert ours.score == pytest.approx(score, abs=1e-4)
        assert ours.decoder == pytest.approx(said, abs=1e-4)
        if weight:
            assert ours.ctc == pytest.approx(heard, abs=1e-4)


def test_the_search_stops_early_once_longer_texts_are_hopeless():
    """A decoder that ends at once in a long clip: not all frames are gone through."""
    torch.manual_seed(0)
    decoder = Decoder(6, 8, 2, 12, 1, 0.0).eval()
    with torch.no_grad():
        decoder.output_layer.weight.zero_()
        decoder.output_layer.bias.copy_(torch.tensor([0.0, 0, 0, 0, 0, 20]))
    search = BeamSearch(decoder, torch.randn(200, 8), torch.randn(200, 6), beam=4, ctc_weight=0.0)
    steps = []
    search.decoder.output_layer.register_forward_hook(lambda *_: steps.append(1))
    assert search.run()[0].pieces == ()
    assert len(steps) < 10


def test_greedy_reading_merges_repeats_between_blanks():
    best = torch.tensor([0, 3, 3, 0, 3, 2, 2, 2, 0, 0, 1])
    assert read_greedily(torch.nn.functional.one_hot(best).float()) == [3, 3, 2, 1]
    assert read_greedily(torch.eye(4)[[0, 0]]) == []


def test_a_network_reads_a_clip():
    made = network(LIPS)
    features = made.encode(video(6), None)[0]
    found = read(made, features, beam=3)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert all(0 < piece < LIPS.end for one in found for piece in one.pieces)
    assert read(made, features, beam=1)[0].score <= found[0].score + 1e-6


@pytest.mark.parametrize(("beam", "weight"), [(0, 0.1), (3, -0.1), (3, 1.1)])
def test_what_is_refused(beam, weight):
    with pytest.raises(DataError, match="must be 1 at least and ctc_weight"):
        BeamSearch(network(LIPS).decoder, torch.randn(3, 16), torch.randn(3, 12), beam, weight)


def test_nothing_cannot_be_read():
    with pytest.raises(DataError, match="one at least: 0, 0"):
        read(network(LIPS), torch.zeros(0, 16))
