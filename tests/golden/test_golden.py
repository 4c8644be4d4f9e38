"""The stored cases pass, and the runner tells right from wrong and from unknown."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.golden.__main__ import main
from tests.golden.case import Case, find_cases, read_case
from tests.golden.run import difference, run_case, run_file

CASES = Path(__file__).parent / "cases"
SHARED = os.environ.get("FACEPIPE_SHARED", "")


def changed(case: Case, outputs: Mapping[str, np.ndarray], **config: Any) -> Case:
    """The case with these outputs instead of its own, and with more in its configuration."""
    inputs = {name: array for name, array in case.arrays.items() if not name.startswith("out/")}
    stored = {f"out/{name}": array for name, array in outputs.items()}
    return Case(case.name, {**case.facts, "config": {**case.config, **config}}, {**inputs, **stored})


@pytest.fixture(scope="module")
def vocaset() -> Case:
    return read_case(CASES / "faceformer_vocaset_small.json")


@pytest.mark.parametrize("path", find_cases(CASES), ids=lambda path: path.stem)
def test_stored_case(path):
    verdict = run_file(path)
    assert verdict.status == "ok", verdict.complaints
    assert verdict.difference <= verdict.tolerance


@pytest.mark.skipif(not SHARED, reason="FACEPIPE_SHARED names no folder with more cases")
@pytest.mark.parametrize("path", sorted(Path(SHARED, "golden").glob("faceformer_*.json")), ids=lambda path: path.stem)
def test_case_that_is_not_in_the_repository(path):
    verdict = run_file(path)
    assert verdict.status == "ok", verdict.complaints


def test_a_wrong_number_is_a_miss(vocaset):
    wrong = vocaset.expected["prediction"].copy()
    wrong[0, 20, 7] += 0.01
    verdict = run_case(changed(vocaset, {"prediction": wrong, "memory": vocaset.expected["memory"]}))
    assert verdict.status == "miss"
    assert verdict.difference == pytest.approx(0.01, rel=1e-2)
    assert [complaint.partition(":")[0] for complaint in verdict.complaints] == ["out/prediction"]


def test_gradients_have_a_tolerance_of_their_own(vocaset):
    name = "grad_autoregressive_short/vertice_map.bias"
    assert (vocaset.tolerance(name), vocaset.tolerance("memory")) == (1e-5, 1e-4)
    nearly = vocaset.expected[name] + np.float32(5e-5)
    verdict = run_case(changed(vocaset, {name: nearly, "memory": vocaset.expected["memory"]}))
    assert (verdict.status, verdict.tolerance) == ("miss", 1e-5)
    unknown = run_case(changed(vocaset, {name.replace("bias", "nonsense"): nearly}))
    assert "no such parameter" in unknown.complaints[0]


def test_notes_in_other_words_give_tolerances():
    notes = "out/loss: one. out/grad/<name>: gradient of out/loss by it (float32), tolerance 2e-5. out/x: another."
    case = Case("c", {"model": "m", "tolerance": 1e-3, "notes": notes}, {})
    assert [case.tolerance(name) for name in ("loss", "grad/a.b", "x")] == [1e-3, 2e-5, 1e-3]


def test_an_output_that_nobody_knows_is_a_miss(vocaset):
    verdict = run_case(changed(vocaset, {"eyebrows": np.zeros(3)}))
    assert verdict.status == "miss"
    assert "eyebrows: no such output" in verdict.complaints[0]


def test_an_input_that_is_missing_is_a_miss(vocaset):
    verdict = run_case(changed(vocaset, {"loss_teacher_forced_other": np.zeros(())}))
    assert verdict.status == "miss"
    assert "needs in/vertices_other" in verdict.complaints[0]


def test_a_model_that_nobody_knows():
    case = Case("other", {"model": "NoSuchModel", "tolerance": 1e-4}, {"out/x": np.zeros(1)})
    assert run_case(case).status == "unknown"
    assert run_case(case).line() == "other unknown nan 0.0001"


def test_strides_and_scales_apply(vocaset):
    prediction, memory = vocaset.expected["prediction"], vocaset.expected["memory"]
    part = changed(vocaset, {"prediction": prediction[:, ::2, ::7]}, output_strides={"prediction": [1, 2, 7]})
    assert run_case(part).status == "ok"
    bias = np.broadcast_to(2 * vocaset.state()["audio_feature_map.bias"], memory.shape)
    scales = {"audio_feature_map.weight": 0.0, "audio_feature_map.bias": 2.0}
    assert run_case(changed(vocaset, {"memory": bias}, scales=scales)).status == "ok"


def test_position_tables_may_be_missing(vocaset):
    state = {name: shape for name, shape in vocaset.facts["state"].items() if name != "PPE.pe"}
    arrays = {name: array for name, array in vocaset.arrays.items() if name != "state/PPE.pe"}
    facts = {**vocaset.facts, "state": state, "kept": []}
    case = changed(Case("bare", facts, arrays), {"prediction": vocaset.expected["prediction"]})
    assert run_case(case).status == "ok"


@pytest.mark.parametrize("last", ["weight_g", "parametrizations.weight.original0"])
def test_both_spellings_of_weight_norm_are_known(vocaset, last):
    """Weights are drawn by name, so the newer spelling means other weights: only what comes before them is equal."""
    shapes = {name.replace("weight_g", last): shape for name, shape in vocaset.facts["state"].items()}
    case = Case("spelling", {**vocaset.facts, "state": shapes}, vocaset.arrays)
    gradient = f"grad_teacher_forced_short/audio_encoder.encoder.pos_conv_embed.conv.{last}"
    outputs = {"conv_features": vocaset.expected["conv_features"], gradient: np.zeros(0)}
    verdict = run_case(changed(case, outputs))
    assert len(verdict.complaints) == 1
    assert "shape (1, 1, 128)" in verdict.complaints[0]


def test_numbers_in_names_are_free():
    names = {
        "pe_period7_dim10_first_3_rows": np.zeros((3, 10)),
        "slopes_5_heads": np.array([2**-2, 2**-4, 2**-6, 2**-8, 2**-1]),
        "alignment_biwi_T1_S3": np.array([[False, False, True]]),
        "auto_length_for_204_to_206": np.array([122, 122, 123]),
        "bias_period9_row_10": np.zeros(0),
    }
    facts = {"model": "FaceFormer", "tolerance": 1e-6, "config": {"n_head": 2, "max_seq_len": 12}}
    verdict = run_case(Case("free", facts, {f"out/{name}": array for name, array in names.items()}))
    missed = [complaint.partition(":")[0] for complaint in verdict.complaints]
    assert missed == ["out/pe_period7_dim10_first_3_rows", "out/bias_period9_row_10"]
    assert "shape (2, 12)" in verdict.complaints[1]


def test_infinities_must_stand_in_equal_places():
    a, b = np.array([-np.inf, 1.0]), np.array([-np.inf, 1.5])
    assert difference(a, b) == 0.5
    assert difference(a, b[::-1]) == np.inf
    assert difference(np.array([np.nan]), np.array([1.0])) == np.inf
    assert difference(np.zeros(2), np.zeros(3)) == np.inf


def test_discrete_outputs_must_be_equal():
    facts = {"model": "FaceFormer", "tolerance": 5.0, "config": {}}
    case = Case("counts", facts, {"in/samples": np.array([16000]), "out/frames_biwi": np.array([25])})
    assert run_case(case).status == "miss"


def test_command_line(tmp_path, capsys):
    assert main([]) == 2
    assert main([str(tmp_path / "absent")]) == 2
    assert main([str(tmp_path)]) == 1
    capsys.readouterr()
    name = "faceformer_masks_and_positions"
    for suffix in (".json", ".npz"):
        (tmp_path / f"{name}{suffix}").write_bytes((CASES / f"{name}{suffix}").read_bytes())
    assert main([str(tmp_path)]) == 0
    (tmp_path / "broken.json").write_text(json.dumps({"model": "FaceFormer", "tolerance": 1}))
    (tmp_path / "readme.json").write_text("{}")
    assert main([str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [[name, "ok"], ["broken", "miss"], [name, "ok"]]
    assert all(len(line.split()) == 4 for line in lines)
