"""The base recipe of the recogniser, upon the synthetic talking heads: from sound and text to a network that reads."""

from __future__ import annotations

import json

from stages.kinds.checkpoint import Checkpoint
from stages.kinds.sequences import Sequences
from tests.pipeline.test_cli import pipe
from tests.recipe_runs import ONE_THREAD, ROOT, here, store

__all__ = ["here", "store"]

RECIPE = f"""\
extends = "{ROOT}/recipes/base/recogniser.toml"

[step.preprocess]
dataset = "synthetic"
subjects = 4
sentences = 2
seconds = 1.2
"""


def test_the_base_recipe_trains_on_what_the_synthetic_heads_say(here, capsys) -> None:
    (here / "r.toml").write_text(RECIPE)
    assert pipe("run", "r.toml", "--tiny", "--device", "cpu", *ONE_THREAD, "--audit") == 0
    assert "warning" not in capsys.readouterr().out
    out = here / "outputs/r"
    data, checkpoint = Sequences(out / "preprocess"), Checkpoint(out / "recogniser")
    said = "".join(data.transcripts[name] for name in data.ids("train"))
    assert list(checkpoint.facts.vocabulary) == ["<pad>", "<unk>", "|", *sorted(set(said) - {" "})]
    assert checkpoint.config.encoder_weights == ""
    assert "letter_errors" in checkpoint.history()[-1]["val"]

    file = next((here / "store/preprocess").iterdir()) / "transcripts.json"
    assert json.loads(file.read_text()) == data.transcripts
    assert pipe("run", "r.toml", "--tiny", "--device", "cpu", *ONE_THREAD) == 0
    assert "nothing to do, 3 steps are cached" in capsys.readouterr().out
    assert pipe("infer", "r.toml", "--tiny", "--audio", str(out / "preprocess/wav/Synthetic_04_sentence02.wav")) != 0
    assert "trains no network that speaks" in capsys.readouterr().err
