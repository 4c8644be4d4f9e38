"""Every network is trained in every way that the training benchmark tells of."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import pytest

from benchmarks import training
from benchmarks.training_case import BASE, MODELS, WHO, Case, measured, told

WAYS = [(model, who) for model in MODELS for who in WHO if model == "selftalk" or who in ("naive", "ours")]


@pytest.mark.parametrize(("model", "who"), WAYS)
def test_a_process_tells_time_and_memory(model: str, who: str) -> None:
    found = measured(Case(model, who, "biwi", "small", [0.5, 0.4], 2, 1))
    assert found["who"] == who
    assert min(found["seconds_per_clip"], found["processor_seconds_per_clip"], found["peak_memory_mb"]) > 0


def test_a_smaller_speech_encoder_brings_a_recogniser_of_its_size() -> None:
    about = told(Case("selftalk", "ours", "vocaset", "official", [1.0], 1, 1, encoder=BASE))
    assert (about.encoder_config["hidden_size"], about.text_width) == (768, 768)
    assert "num_hidden_layers" not in about.encoder_config, "the defaults of `transformers` are this encoder's"


def test_ratios_are_of_the_best_and_of_every_round(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """Processor seconds of two rounds, slow and quick."""
    times = iter([8.0, 2.0, 6.0, 1.0])

    def asked(case: Case) -> dict[str, Any]:
        spent = next(times)
        return {"seconds_per_clip": 10 * spent, "processor_seconds_per_clip": spent, "peak_memory_mb": 100}

    monkeypatch.setattr(training, "asked", asked)
    options = argparse.Namespace(
        model="faceformer", who=["naive", "ours"], batch=[8], size="small", clips=2, lengths=None, threads=1, at_once=0,
        precision="float32", encoder="", repeats=2,
    )  # fmt: skip
    assert len(training.compare("vocaset", options)) == 4
    last = capsys.readouterr().out.splitlines()[-1].split()
    assert last == ["ours,", "8", "a", "step", "10", "6.00", "1", "6.00", "100", "1.00", "4.00-6.00"]


def test_what_is_selftalks_alone_is_refused_for_others(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["training", "--who", "naive", "anew"])
    with pytest.raises(SystemExit):
        training.main()
    assert "add --model selftalk" in capsys.readouterr().err
