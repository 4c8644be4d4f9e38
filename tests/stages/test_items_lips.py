"""What lips say goes along with motion that is taken over, and counts as content of its sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stages.kinds.predictions import Predictions
from tests.stages import lip_face
from tests.stages.fake_face import NAME
from tests.stages.preprocess.biwi_files import BiwiData
from tests.stages.test_items import RECIPE, again, data, go, result

__all__ = ["data"]


def texts() -> dict[str, bytes]:
    return {file.stem: file.read_bytes() for file in sorted((result("infer") / "text").iterdir())}


def test_texts_are_taken_over_with_their_motion(data: BiwiData) -> None:
    Path("r.toml").write_text(RECIPE.replace(NAME, lip_face.NAME))
    go()
    before = texts()
    assert before.keys() == Predictions(result("infer")).items.keys()
    again(data, ("F1", "e37"), np.random.default_rng(1))
    found = go()
    assert (found["infer"], found["metrics"]) == ("2 of 3", "2 of 3")
    after = texts()
    assert after.keys() == before.keys()
    kept = {name for name in after if not name.startswith("F1_e37")}
    assert len(kept) > 1
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert all((result("infer") / "text" / f"{name}.json").stat().st_nlink > 1 for name in kept)

    Path("r.toml").write_text(Path("r.toml").read_text().replace("[step.infer]", "[step.infer]\nread_lips = false"))
    assert go()["infer"] == "made"
    assert not (result("infer") / "text").exists()
    assert {Predictions(result("infer")).text(name) for name in before} == {None}
