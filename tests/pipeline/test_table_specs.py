"""Published numbers against the specs' tables: each in its column, of its model, in its scale, from its source."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from pipeline.table import published
from pipeline.table.published import Value

DATASETS = {"BIWI": "biwi", "VOCASET": "vocaset"}
SOURCES = {
    "papers/2112.05329": "papers/2112.05329",
    "papers/2301.02379": "papers/2301.02379",
    "UniTalker Tab. 2": "UniTalker, ECCV 2024, Tab. 2",
    "arXiv 2306.10799": "arXiv 2306.10799",
    "issues 25, 36": "issues 25 and 36",
    "arXiv 2503.20308": "arXiv 2503.20308",
    "ScanTalk table": "ScanTalk, table",
    "SelfTalk issue 4": "SelfTalk's repository, issue 4",
    "MemoryTalker table": "MemoryTalker, table",
    "its README": "its README",
    "FaceFormer#45": "FaceFormer's repository, issue 45",
    "paperswithcode.com/paper/faceformer": "FaceFormer (Fan et al., CVPR 2022) as in the table of CodeTalker",
    "wizwand": "wizwand",
}
"""Words of the specs → words of our citation. Of several in a cell the first counts: others only quote it."""
VARIANTS = {SOURCES["UniTalker Tab. 2"]: "lve/unitalker", SOURCES["FaceFormer#45"]: "lve/faceformer"}
"""Sources whose definition the specs tell (section 3)."""
LEFT_OUT = {
    18.149: "a failed training, in brackets there",
    4.6162: "of the same training",
}
MISLABELLED = "most likely mislabelled"
NAMES = {"SelfTalk released model": "SelfTalk, released weights", "FaceFormer paper": "FaceFormer"}
POWERS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


class Claim(NamedTuple):
    """What a table of the specs says. source: words of our citation. scale: None where it states none."""

    dataset: str
    model: str
    family: str
    value: float
    scale: float | None
    source: str


def section(name: str, start: str, end: str = "\0") -> str:
    folder = os.environ.get("FACEPIPE_SHARED")
    if not folder:
        pytest.skip("FACEPIPE_SHARED is not set")
    text = (Path(folder) / "specs" / f"{name}.md").read_text(encoding="utf-8")
    return text.partition(start)[2].partition(end)[0]


def claims() -> list[Claim]:
    intro, *tables = re.split(r"\n\n(?=\|)|(?<=\|)\n\n", section("metrics", "## 4. Published numbers"))
    found = [claim for table in tables if table.startswith("|") for claim in of_table(intro, table)]
    return found + list(of_faceformer(section("faceformer", "## 10.", "## 11.")))


def of_table(intro: str, table: str) -> Iterator[Claim]:
    head, _, *lines = ([cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines())
    (dataset,) = {name for name in DATASETS if any(name in cell for cell in head)}
    about = " ".join([*head, *(sentence for sentence in intro.split(". ") if sentence.strip().startswith(dataset))])
    scales = {family: power(text) for family, text in re.findall(r"(LVE|FDD) ×10([⁻\d⁰¹²³⁴⁵⁶⁷⁸⁹]+)", about)}
    source, base = "", ""
    for cells in lines:
        row = dict(zip(head, cells, strict=True))
        source = source if cells[-1] == "same" else cells[-1]
        if MISLABELLED in source:
            continue
        models = names(cells[0], base)
        base = base if cells[0].startswith("–") else models[0]
        other = next(cell for title, cell in row.items() if "other" in title)
        for title, cell in row.items():
            family = re.search(r"LVE|FDD", title)
            if family:
                scale = None if other == "other scale" else scales[family[0]]
                yield from of_cell(DATASETS[dataset], models, family[0], cell, scale, source)
        yield from of_other(DATASETS[dataset], models, other, scales, source)


def names(cell: str, base: str) -> list[str]:
    """The models of a row, in our spelling. base: that of the row before, which a row of ablations leaves out."""
    cell = re.sub(r" \(.*?\)", "", cell)
    if cell == "CodeTalker retrained by users":
        return [f"CodeTalker, retrained by a user ({number})" for number in (1, 2, 3)]
    if cell.startswith("–"):
        return [f"{base} without {part.removeprefix('without ')}" for part in cell.removeprefix("– ").split(" / ")]
    parts = [NAMES.get(part, part) for part in cell.split(" / ")]
    return [f"UniTalker-{part}" if re.match(r"[BL]-", part) else part for part in parts]


def of_cell(
    dataset: str, models: list[str], family: str, cell: str, scale: float | None, source: str
) -> Iterator[Claim]:
    parts = [part for part in re.split(r"; | / ", cell) if part]
    owners = models * len(parts) if len(models) == 1 else models
    for model, part in zip(owners, parts, strict=bool(parts)):
        number = re.fullmatch(r"\(?(\d+\.\d+)\)?(?: \((.*)\))?", part)
        assert number, f"cannot read {part!r} of {cell!r}"
        yield Claim(dataset, model, family.lower(), float(number[1]), scale, cited(number[2] or "") or cited(source))


def of_other(
    dataset: str, models: list[str], cell: str, scales: dict[str, float], source: str
) -> Iterator[Claim]:  # fmt: skip
    """Further families by name, "MVE 0.888 / 0.901 (×10⁻³)", and further models, "B-all 0.8136"."""
    for family, numbers, more in re.findall(r"\b(MVE|FDD) ([\d.]+(?: / [\d.]+)*)(?: \((.*?)\))?", cell):
        scale = re.search(r"×10([⁻\d⁰¹²³⁴⁵⁶⁷⁸⁹]+)", more)
        yield from of_cell(dataset, models, family, numbers, power(scale[1]) if scale else scales.get(family), source)
    for model, number in re.findall(r"((?:UniTalker-)?[BL]-\S+) (\d\.\d+)", cell):
        yield from of_cell(dataset, names(model, ""), "LVE", number, scales["LVE"], source)


def of_faceformer(text: str) -> Iterator[Claim]:
    """Rows in which each number has its scale behind it: 5.3077 ×1e-4."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        for family, value, scale in re.findall(r"(LVE |FDD )?(\d\.\d+) ×(1e-\d)", cells[1] if len(cells) > 2 else ""):
            dataset = next(ours for name, ours in DATASETS.items() if name in cells[0])
            yield Claim(dataset, "FaceFormer", family.strip().lower() or "lve", float(value), float(scale), cited(line))


def power(text: str) -> float:
    return float(f"1e{text.translate(POWERS)}")


def cited(text: str) -> str:
    found = [words for words in SOURCES if words in text]
    return SOURCES[min(found, key=text.index)] if found else ""


def ours() -> list[tuple[str, Value]]:
    return [(file.dataset, value) for file in published.read_all() for value in file.values]


def unfounded(values: Iterable[tuple[str, Value]], stated: list[Claim]) -> list[str]:
    """What no table says so: not this value of this model in this column, or not in this scale, or not from there."""
    found = []
    for dataset, value in values:
        same = [
            claim
            for claim in stated
            if claim[:4] == (dataset, value.model, value.metric.partition("/")[0], value.value)
            and claim.scale == value.scale
            and claim.source in value.source
            and value.metric == VARIANTS.get(claim.source, value.metric)
        ]
        if not same:
            found.append(f"{dataset}: {value.model} {value.metric} {value.value}")
    return found


def test_every_number_is_what_a_table_of_the_specs_says() -> None:
    stated = claims()
    assert len(stated) >= len(ours())
    assert all(claim.source for claim in stated)
    assert not unfounded(ours(), stated)


def test_every_number_of_the_tables_is_taken() -> None:
    taken = {
        (dataset, value.model, value.metric.partition("/")[0], value.value, value.scale) for dataset, value in ours()
    }
    missing = [claim for claim in claims() if claim[:5] not in taken]
    assert {claim.value for claim in missing} == set(LEFT_OUT)


def changed(values: list[tuple[str, Value]], **by: dict[str, object]) -> list[tuple[str, Value]]:
    """by: "model metric word-of-its-source" → what to replace."""
    keys = {tuple(key.split("|")): facts for key, facts in by.items()}
    made, used = [], set()
    for dataset, value in values:
        for (where, model, metric, word), facts in keys.items():
            if (where, model, metric) == (dataset, value.model, value.metric) and word in value.source:
                value = dataclasses.replace(value, **facts)  # type: ignore[arg-type]
                used.add((where, model, metric, word))
        made.append((dataset, value))
    assert used == keys.keys()
    return made


MISTAKES = {
    "LVE and FDD exchanged": {
        "biwi|CodeTalker|lve/codetalker|CVPR 2023": {"value": 4.1170},
        "biwi|CodeTalker|fdd/codetalker|CVPR 2023": {"value": 4.7914},
    },
    "two models exchanged": {
        "vocaset|CodeTalker|lve/unitalker|UniTalker": {"value": 1.1696},
        "vocaset|FaceFormer|lve/unitalker|UniTalker": {"value": 1.1182},
    },
    "two sources exchanged": {
        "vocaset|CodeTalker|lve/codetalker|arXiv 2503.20308": {"value": 3.549},
        "vocaset|CodeTalker|lve/codetalker|ScanTalk": {"value": 3.700},
    },
    "two sources of a row exchanged": {
        "biwi|FaceDiffuser|lve/unitalker|UniTalker": {"value": 4.7823},
        "biwi|FaceDiffuser|lve/facediffuser|wizwand": {"value": 4.2985},
    },
    "wrong scale": {"biwi|CodeTalker|lve/codetalker|CVPR 2023": {"scale": 1e-5}},
    "wrong scale in a cell": {"biwi|FaceDiffuser|mve/facediffuser|wizwand": {"scale": 1e-4}},
    "a scale that is not stated": {"vocaset|MemoryTalker|lve/codetalker|table": {"scale": 1e-5}},
    "wrong citation": {"biwi|HiSTalk|lve/codetalker|README": {"read_in": "the paper"}},
    "wrong definition": {"vocaset|SelfTalk|lve/unitalker|UniTalker": {"metric": "lve/codetalker"}},
    "ablations exchanged": {"biwi|SelfTalk without CTC|lve/codetalker|2306.10799": {"value": 4.6846}},
    "a wrong digit": {"biwi|CodeTalker, retrained by a user (2)|fdd/codetalker|issues": {"value": 4.3231}},
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_found(name: str) -> None:
    mistakes = MISTAKES[name]
    assert len(unfounded(changed(ours(), **mistakes), claims())) == len(mistakes)  # type: ignore[arg-type]


def test_another_data_set_is_another_number() -> None:
    moved = [({"biwi": "vocaset", "vocaset": "biwi"}[dataset], value) for dataset, value in ours()]
    assert len(unfounded(moved, claims())) == len(moved)
