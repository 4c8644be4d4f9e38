"""What only shows when sequences are held against each other and against what the data set says of itself."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import median

import numpy as np

from faces.vertex_order import Order, size_of
from stages.datacheck.corpus import Corpus, Name
from stages.datacheck.findings import ERROR, WARNING, Finding
from stages.datacheck.sequence import Seen
from stages.preprocess.own.description import METRES
from stages.preprocess.prepare import WITHOUT
from stages.preprocess.split_file import NEEDED

RATES = (24.0, 25.0, 29.97, 30.0, 48.0, 50.0, 59.94, 60.0, 90.0, 100.0, 120.0)
OFF = 0.02
"""Share by which a frame rate may differ from what lengths say."""
SPREAD = 0.03
FEW_FRAMES, FEW_SECONDS = 3, 0.1
LONG_S, LONG_SHARE = 0.5, 0.1
HEAD_M = (0.08, 1.0)
"""Metres that the longest side of a head, with or without neck and shoulders, can be."""
LIPS, UPPER = ("lips", "mouth", "lip"), ("upper_face", "forehead", "eyes", "brows")
MOST = 0.8
"""Of the sequences: what is true of so many is told once."""

Rows = Sequence[Seen]


def across(corpus: Corpus, seen: Rows) -> Iterator[Finding]:
    """All of it, in the order in which it is best read."""
    yield from _rate_and_lengths(corpus, [s for s in seen if s.frames and s.seconds])
    shaped = [s for s in seen if s.vertices]
    yield from _vertices(corpus, shaped)
    yield from _orders(corpus, [s for s in shaped if s.order is not None])
    yield from _sizes(corpus, [s for s in shaped if s.size])
    yield from _model(corpus)
    yield from _same(corpus, seen, "SAME-MOTION", "motion", lambda s: s.motion_digest, corpus.place)
    yield from _same(corpus, seen, "SAME-SOUND", "sound", lambda s: s.sound_digest, corpus.sound_place)
    yield from _sample_rates(corpus, [s for s in seen if s.rate])
    yield from _splits(corpus, [s.name for s in seen])


def nearest_rate(rate: float) -> float:
    """The usual rate that is nearest; 29.97 and 59.94 only where nothing else comes near: lengths cannot tell them."""
    return min((r for r in RATES if r not in (29.97, 59.94)), key=lambda usual: abs(math.log(usual / rate)))


def _rate_and_lengths(corpus: Corpus, rows: Rows) -> Iterator[Finding]:
    if not rows:
        return
    facts = corpus.facts
    implied = [s.frames / s.seconds for s in rows]
    middle = median(implied)
    spread = median(abs(rate / middle - 1) for rate in implied)
    fps = facts.fps
    if len(rows) > 1 and abs(middle / fps - 1) > OFF and spread < SPREAD:
        fps = nearest_rate(middle) if abs(middle / nearest_rate(middle) - 1) < OFF else middle
        what = f"looks like {fps:g} frames per second ({middle:.2f} in the middle of {len(rows)}), not {facts.fps:g}"
        yield Finding(facts.rate_place, "RATE", what, f"set fps = {fps:g}, or export at {facts.fps:g}")
    for s in rows:
        yield from _length(corpus, s, fps)


def _length(corpus: Corpus, s: Seen, fps: float) -> Iterator[Finding]:
    expected = s.seconds * fps
    apart = s.frames - expected
    seconds = abs(apart) / fps
    if abs(apart) <= FEW_FRAMES or seconds <= FEW_SECONDS:
        return
    bad = seconds > LONG_S and abs(apart) > LONG_SHARE * expected
    what = f"{s.frames} frames ({s.frames / fps:.2f} s), but {s.seconds:.2f} s of sound: {abs(apart):.0f} frames "
    what += "too many" if apart > 0 else "too few"
    mend = "cut the longer one, or see whether they belong together"
    yield Finding(corpus.place(s.name), "LENGTH", what, mend, ERROR if bad else WARNING)


def _vertices(corpus: Corpus, rows: Rows) -> Iterator[Finding]:
    model = corpus.facts.model
    counts = [s.vertices for s in rows]
    if not rows:
        return
    expected = len(model.vertices) if model is not None else max(set(counts), key=counts.count)
    place = corpus.facts.model_place if model is not None else "most others"
    wrong = [s for s in rows if s.vertices != expected]
    if len(wrong) > 1 and len(wrong) == len(rows) and len(set(counts)) == 1:
        what = f"{expected:,} vertices, and all sequences {counts[0]:,}"
        yield Finding(place, "TOPOLOGY", what, "give the mesh that the recordings are made of")
        return
    for s in wrong:
        what = f"{s.vertices:,} vertices, and {place} has {expected:,}"
        yield Finding(corpus.place(s.name), "TOPOLOGY", what, "export it from the same mesh, or leave it out")


def _orders(corpus: Corpus, rows: Rows) -> Iterator[Finding]:
    place = corpus.facts.model_place
    mixed = [s for s in rows if s.order is Order.PERMUTED]
    keep = 'export with the order kept ("keep vertex order", no merging, no sorting)'
    if len(mixed) > 1 and len(mixed) >= MOST * len(rows):
        what = f"the same vertices in another order than in {len(mixed)} of {len(rows)} sequences"
        yield Finding(place, "ORDER", what, keep)
        mixed = []
    for s in mixed:
        yield Finding(corpus.place(s.name), "ORDER", f"the same vertices in another order than {place}", keep)
    for s in rows:
        if s.order is Order.SWAPPED:
            told = ", ".join(map(str, s.out_of_place[:4])) + (" …" if len(s.out_of_place) > 4 else "")
            what = f"{len(s.out_of_place)} vertices are out of place ({told})"
            yield Finding(corpus.place(s.name), "SWAPPED", what, keep, vertex=s.out_of_place[0])
        elif s.order is Order.OTHER:
            what = f"as many vertices as {place}, but another shape or order"
            yield Finding(corpus.place(s.name), "SHAPE", what, "see what mesh it was made from")


def _sizes(corpus: Corpus, rows: Rows) -> Iterator[Finding]:
    if not rows:
        return
    usual = median(s.size for s in rows)
    model = corpus.facts.model
    if model is not None and len(rows) > 1 and (other := _other_unit(size_of(model.vertices) / usual)):
        yield Finding(corpus.facts.model_place, "UNITS", f"{other} the recordings", "export it in their unit")
    for s in rows:
        ratio = s.size / usual
        if other := _other_unit(ratio):
            yield Finding(corpus.place(s.name), "UNITS", f"{other} the others", "export it in the same unit")
        elif not 0.6 < ratio < 1.7:
            what = f"{ratio:.2f} times the size of the others"
            yield Finding(corpus.place(s.name), "SIZE", what, "see whether it was scaled", WARNING)
    yield from _said_unit(corpus, usual)


def _other_unit(ratio: float) -> str:
    """ "1000 times as large as", or "" where it is about as large."""
    power = round(math.log10(ratio))
    if not power or abs(math.log10(ratio) - power) > 0.2:
        return ""
    return f"{10**power} times as large as" if power > 0 else f"a {10**-power}th as large as"


def _said_unit(corpus: Corpus, usual: float) -> Iterator[Finding]:
    """usual: `size_of` the recordings, which tells the side of a model in their unit."""
    model, units = corpus.facts.model, corpus.facts.units
    if model is None or units not in METRES:
        return
    side = float(np.ptp(model.vertices, axis=0).max()) * usual / size_of(model.vertices)
    metres = side * METRES[units]
    if HEAD_M[0] < metres < HEAD_M[1]:
        return
    fitting = [unit for unit, scale in METRES.items() if HEAD_M[0] < side * scale < HEAD_M[1]]
    mend = f'set units = "{fitting[0]}"' if fitting else 'set units = "unknown", or scale the data'
    what = f"units = {units!r} makes a head of {metres:.3g} m"
    yield Finding(corpus.facts.rate_place, "UNITS", what, mend)


def _model(corpus: Corpus) -> Iterator[Finding]:
    """Whether the head stands upright, looks forward, and is seen from outside."""
    facts = corpus.facts
    model = facts.model
    if model is None:
        return
    lips, upper = (next((facts.regions[n] for n in names if n in facts.regions), None) for names in (LIPS, UPPER))
    middle = model.vertices.mean(axis=0)
    if lips is not None and upper is not None and facts.up:
        below = model.vertices[upper].mean(axis=0) - model.vertices[lips].mean(axis=0)
        if _along(below, facts.up) < 0:
            what = f"with up = {facts.up!r} the lips are above the upper face"
            yield Finding(facts.model_place, "UPSIDE-DOWN", what, "set up to the opposite axis or to another one")
    if lips is not None and facts.front and _along(model.vertices[lips].mean(axis=0) - middle, facts.front) < 0:
        what = f"with front = {facts.front!r} the lips are at the back of the head"
        yield Finding(facts.model_place, "BACKWARDS", what, "set front to the opposite axis or to another one")
    if _volume(model.vertices - middle, model.faces) < 0:
        what = "its triangles are seen from inside: it is mirrored (left-handed), or they turn the wrong way"
        yield Finding(facts.model_place, "INSIDE-OUT", what, "export it right-handed; or turn the triangles", WARNING)


def _along(vector: np.ndarray, axis: str) -> float:
    value = float(vector["xyz".index(axis[-1])])
    return -value if axis.startswith("-") else value


def _volume(points: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = (points[faces[:, k]].astype(np.float64) for k in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum()) / 6


def _same(
    corpus: Corpus, seen: Rows, code: str, what: str, digest: Callable[[Seen], str], place: Callable[[Name], str]
) -> Iterator[Finding]:
    groups = defaultdict[str, list[Seen]](list)
    for s in seen:
        if digest(s):
            groups[digest(s)].append(s)
    for group in (g for g in groups.values() if len(g) > 1):
        first = group[0].name
        for s in group[1:]:
            apart = list(corpus.facts.holding(first)) != list(corpus.facts.holding(s.name))
            across_splits = ", and they are in different splits" if apart else ""
            told = f"the same {what} as {place(first)}{across_splits}"
            yield Finding(place(s.name), code, told, "remove one of them", ERROR if apart else WARNING)


def _sample_rates(corpus: Corpus, rows: Rows) -> Iterator[Finding]:
    rates = [s.rate for s in rows]
    if len(set(rates)) < 2:
        return
    usual = max(sorted(set(rates)), key=rates.count)
    odd = [s for s in rows if s.rate != usual]
    what = f"{odd[0].rate} Hz, and most others {usual}: {len(odd)} of {len(rows)} differ"
    mend = "nothing to do: all are resampled; but see whether they were recorded alike"
    yield Finding(corpus.sound_place(odd[0].name), "SAMPLE-RATE", what, mend, WARNING)


def _splits(corpus: Corpus, names: Iterable[Name]) -> Iterator[Finding]:
    facts, names = corpus.facts, list(names)
    place, held = facts.splits_place, {name: list(facts.holding(name)) for name in names}
    for name, splits in held.items():
        if len(splits) > 1:
            what = f"{name[0]}'s {name[1]} is in {' and '.join(splits)}"
            yield Finding(place, "SPLIT", what, "a sequence may be in one split only")
    for split in dict.fromkeys([*NEEDED, *facts.subjects]):
        if not any(split in splits for splits in held.values()) and (facts.subjects.get(split) or split == "train"):
            what = f"the split {split!r} has no sequence: {WITHOUT.get(split, 'nothing can be tested on it')}"
            yield Finding(place, "SPLIT", what, "correct its table", ERROR if split == "train" else WARNING)
    nowhere = [subject for subject in dict.fromkeys(n[0] for n in names) if not _is_placed(subject, held)]
    for subject in nowhere:
        what = f"{subject} is in no split, with {sum(n[0] == subject for n in names)} sequences"
        yield Finding(place, "SPLIT", what, "add the name to one, or leave it: they are prepared and not used", WARNING)
    loose = [n for n, splits in held.items() if not splits and n[0] not in nowhere]
    if loose:
        what = f"{len(loose)} sequences are in no split, {'_'.join(loose[0])} for one"
        yield Finding(place, "SPLIT", what, "add their sentences to one, or leave them", WARNING)


def _is_placed(subject: str, held: dict[Name, list[str]]) -> bool:
    return any(splits for name, splits in held.items() if name[0] == subject)
