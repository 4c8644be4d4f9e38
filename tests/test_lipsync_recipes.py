"""The lines of docs/metrics.md that add a score of lip synchrony to a recipe, run with a narrow network's file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.execute import Means, run
from pipeline.recipe import load
from pipeline.workspace import Workspace
from stages.kinds.synchrony import Synchronies
from tests.models.syncnet.narrow import write_narrow
from tests.pipeline.conftest import Recorder
from tests.pipeline.test_cli import pipe
from tests.recipe_runs import ONE_THREAD, ROOT, here, settings, store

__all__ = ["here", "store"]
PAGE = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
OF_VERTICES, OF_SURFACES = (block for block in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL) if "lipsync" in block)
D, C = "lse_d/wav2lip", "lse_c/wav2lip"


def write(file: Path, recipe: str, lines: str, *more: str) -> Path:
    """A recipe of the user's own that extends one of ours by the page's lines."""
    extended = f'extends = "{ROOT}/recipes/{recipe}"\n[recipe]\ntitle = "{file.stem}"\n'
    file.write_text("\n".join([extended, lines, *more]), encoding="utf-8")
    return file


@pytest.fixture
def weights(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = write_narrow(here / "syncnet_v2.model")
    monkeypatch.setenv("SYNCNET_WEIGHTS", str(file))
    return file


def go(recipe: Path, *words: str, options: tuple[str, ...] = ()) -> int:
    return pipe("run", str(recipe), "--tiny", "--device", "cpu", *ONE_THREAD, *options, *settings(*words))


def numbers(out: Path) -> dict[tuple[str, str], Any]:
    records = json.loads((out / "metrics.json").read_text())["numbers"]
    return {(record["row"], record["metric"]): record["value"] for record in records}


def standings(recipe: Path, *words: str) -> dict[str, str]:
    """Step → "cached", "made", or "2 of 4" where items were taken over."""
    recorder = Recorder()
    run(load(recipe, list(words), tiny=True), Workspace.find(), recorder, means=Means("cpu", 1))
    return recorder.standings()


def test_of_vertices(here: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = write(here / "scored.toml", "facetalk_synthetic.toml", OF_VERTICES)
    assert go(recipe, options=("--until", "metrics")) == 0
    out = here / "outputs/scored"
    scored = Synchronies(out / "lipsync")
    assert scored.info.of == "vertices"
    assert all("_seed" in name for name in scored.info.predictions)
    found = numbers(out / "metrics")
    rows = {row for row, metric in found if metric == D}
    assert rows == {"model", "best of 2", "truth", "neutral template"}
    assert found["best of 2", D] <= found["model", D]
    assert found["best of 2", C] >= found["model", C]
    assert found["model", D] == pytest.approx(scored.info.means["predicted"].lse_d)
    capsys.readouterr()
    assert pipe("table", str(out / "metrics"), "--metric", "lse_d", "--metric", "lse_c") == 0
    table = capsys.readouterr().out
    assert "LSE-D" in table
    assert "↓" in table
    assert "↑" in table


def test_only_what_changed_is_scored_again(here: Path, weights: Path) -> None:
    recipe = write(here / "again.toml", "facetalk_synthetic.toml", OF_VERTICES, "[step.render]\nlimit = 1\n")
    assert standings(recipe).keys() >= {"lipsync", "metrics"}
    assert set(standings(recipe).values()) == {"cached"}
    more = standings(recipe, 'step.infer.splits=["test", "val"]')
    assert (more["train"], more["infer"], more["lipsync"], more["metrics"]) == ("cached", "2 of 4", "2 of 4", "2 of 4")
    weights.write_bytes(write_narrow(here / "other.model", seed=1).read_bytes())
    other = standings(recipe)
    assert (other["infer"], other["lipsync"], other["metrics"]) == ("cached", "made", "made")


def test_of_surfaces(here: Path, weights: Path) -> None:
    """Codes are measured, and beside them how surfaces of these codes go with the sound; the recipe's names are others
    than those on the page."""
    lines = OF_SURFACES.replace('"preprocess"', '"track"').replace("[step.metrics]", "[step.metrics_codes]")
    recipe = write(here / "surfaced.toml", "facetalk_synthetic_nphm.toml", lines)
    assert go(recipe, "step.meshes.limit=0", options=("--until", "metrics_codes")) == 0
    out = here / "outputs/surfaced"
    scored = Synchronies(out / "lipsync")
    assert scored.info.of == "surfaces"
    found = numbers(out / "metrics_codes")
    assert {row for row, metric in found if metric == D} == {"model", "best of 2", "truth"}
    assert found["truth", D] == pytest.approx(scored.info.means["truth"].lse_d)
    assert ("model", "code_mse/facepipe") in found


def test_what_is_missing_is_said(here: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = write(here / "missing.toml", "facetalk_synthetic.toml", OF_VERTICES)
    absent = "step.lipsync.weights=absent.model"
    assert go(recipe, absent) in (1, 2)
    told = capsys.readouterr()
    assert "absent.model is missing, lipsync's weights: take syncnet_v2.model, which the authors of SyncNet" in told.err
    assert "running" not in told.out
    unwired = write(here / "unwired.toml", "facetalk_synthetic.toml", '[step.lipsync]\nweights = "syncnet_v2.model"\n')
    assert go(unwired) in (1, 2)
    assert "lipsync looks at predictions or at surfaces, and neither is wired" in capsys.readouterr().err
    assert go(recipe, "step.train.track=controls", "step.train.pca=0", options=("--until", "lipsync")) == 1
    assert "rows of the track 'controls' and no vertices" in "".join(capsys.readouterr())
