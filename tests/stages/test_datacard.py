"""Data cards: what is in them, how they are shown, and that nothing of them reaches a key."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from faces.errors import DataError
from pipeline import registry
from stages.datacard.facts import Share, gather
from stages.datacard.page import page
from stages.kinds.card import Card, Check, Source, read_card, write_card
from stages.kinds.sequences import Sequences, write_index
from tests.pipeline.test_cli import pipe
from tests.stages.tiny import make_sequences

SOURCE = Source("Tiny faces", "Nobody, 2026", "nowhere", "MIT", "any use")
CARD = Card(SOURCE, [Check("vertices", "12", "11", False), Check("mouths", "1", "1", True)], ["frames are few"])


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    folder = make_sequences(tmp_path / "data")
    write_index(folder, replace(Sequences(folder).info, skipped={"E_s01": "no sound", "E_s02": "no sound"}))
    write_card(folder, CARD, tmp_path)
    return folder


def test_a_card_is_read_as_it_was_written_and_names_no_folder(tmp_path: Path) -> None:
    told = Card(SOURCE, CARD.checks, [f"{tmp_path}/faces holds two", f"{tmp_path} is small"])
    write_card(tmp_path, told, tmp_path)
    assert read_card(tmp_path) == replace(told, remarks=["faces holds two", "the root is small"])
    assert read_card(tmp_path / "elsewhere") is None


DEEP = "[" * 100_000
STRANGE = json.dumps(
    {
        "source": asdict(CARD.source),
        "checks": [{"what": "a", "expected": "b", "found": "c", "passed": 3}],
        "remarks": [],
    }
)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"source": 1, "checks": [], "remarks": []}', '{"checks": [7]}', DEEP, STRANGE]
)
def test_a_damaged_card_is_said_so(tmp_path: Path, content: str) -> None:
    (tmp_path / "card.json").write_text(content)
    with pytest.raises(DataError, match=r"card.json is no data card .* make it again with preprocess"):
        read_card(tmp_path)


def test_counts_are_those_of_the_index(artifact: Path) -> None:
    facts, info = gather(artifact), Sequences(artifact).info
    entries = list(info.sequences.values())
    assert facts.total == Share(
        4, 12, sum(e.frames for e in entries), sum(e.frames for e in entries) / 30.0,
        sum(e.samples for e in entries) / 16000, 0,
    )  # fmt: skip
    assert {name: share.sequences for name, share in facts.splits.items()} == {"train": 4, "val": 4, "test": 4}
    assert sum(share.frames for share in facts.splits.values()) == facts.total.frames
    assert facts.skipped == {"no sound": ["E_s01", "E_s02"]}
    assert facts.card == CARD


def test_sequences_in_no_split_and_without_sound_are_counted(artifact: Path) -> None:
    info = Sequences(artifact).info
    entries = dict(info.sequences)
    entries["A_s01"] = replace(entries["A_s01"], split="", samples=0, sample_rate=0)
    write_index(artifact, replace(info, sequences=entries))
    facts = gather(artifact)
    assert (facts.splits["(none)"].sequences, facts.splits["(none)"].silent, facts.total.silent) == (1, 1, 1)


def test_the_page_tells_all_of_it(artifact: Path) -> None:
    text = page(gather(artifact))
    assert text.startswith("# Tiny faces\n")
    for words in ("12 of 4 subjects", "30 a second", "16,000 Hz", "any use", "* frames are few"):
        assert words in text
    assert "| vertices | 12       | 11    | **no**      |" in text
    assert "* 2 × no sound: E_s01, E_s02" in text


def test_an_artifact_without_a_card_still_has_its_counts(artifact: Path) -> None:
    (artifact / "card.json").unlink()
    text = page(gather(artifact))
    assert text.startswith("# tiny\n")
    assert "licence" not in text


def test_card_of_a_recipe_and_of_its_artifact(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("heads.toml").write_text(
        '[step.preprocess]\nstage = "preprocess"\ndataset = "synthetic"\nsubjects = 3\nsentences = 2\nseconds = 0.7\n'
    )
    assert pipe("data", "card", "heads.toml") == 2
    assert "preprocess must run first: pipe run heads.toml --until preprocess" in capsys.readouterr().err
    assert pipe("data", "card", "heads.toml", "--set", "step.preprocess.seconds=0.8") == 2
    assert "pipe run heads.toml --set step.preprocess.seconds=0.8 --until preprocess" in capsys.readouterr().err
    assert pipe("run", "heads.toml") == 0
    capsys.readouterr()
    assert pipe("data", "card", "heads.toml", "--json") == 0
    (facts,) = json.loads(capsys.readouterr().out)
    assert facts["card"]["source"]["licence"] == "Apache-2.0"
    assert {check["what"]: check["passed"] for check in facts["card"]["checks"]}["vertices"] is True
    assert str(tmp_path) not in (next(Path(".pipe/preprocess").iterdir()) / "card.json").read_text()
    assert pipe("data", "card") == 0
    assert "Synthetic talking heads" in capsys.readouterr().out
    assert pipe("data", "card", "outputs/heads/preprocess") == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [([], "holds no prepared data set"), (["nothing"], "no artifact 'nothing'"), (["gone.toml"], "gone.toml")],
)
def test_bad_targets(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch, words, sentence) -> None:
    monkeypatch.chdir(tmp_path)
    assert pipe("data", "card", *words) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted({*registry.names("datasets")} - {"own"}))  # whose source is its user's word
def test_every_data_set_says_whose_it_is(name: str) -> None:
    source = registry.load_component("datasets", name).Settings.source
    assert all((source.title, source.citation, source.url, source.licence, source.terms))


def test_no_stage_depends_on_a_card() -> None:
    for name in registry.names("stages"):
        for slot in getattr(registry.load_stage(name), "inputs", {}).values():
            assert slot.kind != "sequences" or (slot.uses and "card.json" not in slot.uses), name
