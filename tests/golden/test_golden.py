"""The stored cases pass, and the runner tells right from wrong and from unknown."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.golden.case import Case, find_cases, read_case
from tests.golden.facts import Facts
from tests.golden.run import difference, run_case, run_file

CASES = Path(__file__).parent / "cases"
SHARED = os.environ.get("FACEPIPE_SHARED", "")
ELSEWHERE = [
    path
    for model in (
        *("avguidance", "diffusion", "faceformer", "facetalk", "codetalker", "lipreader", "mononphm", "nphm"),
        *("rasteriser", "selftalk", "talkingstyle"),
    )
    for path in Path(SHARED, "golden").glob(f"{model}_*.json")
]


def changed(case: Case, outputs: Mapping[str, np.ndarray], **config: Any) -> Case:
    """The case with these outputs instead of its own, and with more in its configuration."""
    inputs = {name: array for name, array in case.arrays.items() if not name.startswith("out/")}
    stored = {f"out/{name}": array for name, array in outputs.items()}
    return Case(case.name, replace(case.facts, config={**case.config, **config}), {**inputs, **stored})


def without(case: Case, *names: str) -> Case:
    """The case without these arrays, or without these words of its configuration."""
    arrays = {name: array for name, array in case.arrays.items() if name not in names}
    config = {name: value for name, value in case.config.items() if name not in names}
    return Case(case.name, replace(case.facts, config=config), arrays)


def of(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Case:
    return Case("made", Facts.of(facts), arrays)


@pytest.fixture(scope="module")
def vocaset() -> Case:
    return read_case(CASES / "faceformer_vocaset_small.json")


@pytest.fixture(scope="module")
def measured() -> Case:
    return read_case(CASES / "metrics_lve_fdd.json")


@pytest.mark.parametrize("path", find_cases(CASES), ids=lambda path: path.stem)
def test_stored_case(path):
    verdict = run_file(path)
    assert verdict.status == "ok", verdict.complaints
    assert verdict.difference <= verdict.tolerance


@pytest.mark.skipif(not SHARED, reason="FACEPIPE_SHARED names no folder with more cases")
@pytest.mark.parametrize("path", sorted(ELSEWHERE), ids=lambda path: path.stem)
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
    assert (vocaset.facts.tolerance_for(name), vocaset.facts.tolerance_for("memory")) == (1e-5, 1e-4)
    nearly = vocaset.expected[name] + np.float32(5e-5)
    verdict = run_case(changed(vocaset, {name: nearly, "memory": vocaset.expected["memory"]}))
    assert (verdict.status, verdict.tolerance) == ("miss", 1e-5)
    unknown = run_case(changed(vocaset, {name.replace("bias", "nonsense"): nearly}))
    assert "no such parameter" in unknown.complaints[0]


def test_an_output_that_nobody_knows_is_a_miss(vocaset):
    verdict = run_case(changed(vocaset, {"eyebrows": np.zeros(3)}))
    assert verdict.status == "miss"
    assert "eyebrows: no such output" in verdict.complaints[0]


def test_an_input_that_is_missing_is_a_miss(vocaset):
    verdict = run_case(changed(vocaset, {"loss_teacher_forced_other": np.zeros(())}))
    assert verdict.status == "miss"
    assert "needs in/vertices_other" in verdict.complaints[0]


def test_strides_and_scales_apply(vocaset):
    prediction, memory = vocaset.expected["prediction"], vocaset.expected["memory"]
    part = changed(vocaset, {"prediction": prediction[:, ::2, ::7]}, output_strides={"prediction": [1, 2, 7]})
    assert run_case(part).status == "ok"
    bias = np.broadcast_to(2 * vocaset.state()["audio_feature_map.bias"], memory.shape)
    scales = {"audio_feature_map.weight": 0.0, "audio_feature_map.bias": 2.0}
    assert run_case(changed(vocaset, {"memory": bias}, scales=scales)).status == "ok"


@pytest.mark.parametrize("steps", [[1, 2, 7], [1, 2]], ids=["longer", "as long"])
def test_strides_apply_to_the_axes_that_there_are(vocaset, steps):
    part = vocaset.expected["first_frame"][:, :: steps[1]]
    whole = vocaset.expected["prediction"][:, :: steps[1], :: [*steps, 1][2]]
    strides = {"first_frame": steps, "prediction": steps}
    case = changed(vocaset, {"first_frame": part, "prediction": whole}, output_strides=strides)
    assert run_case(case).status == "ok"


def test_strides_of_a_number_are_none():
    arrays = {"in/samples": np.array([16000]), "out/conv_length": np.array([49])}
    config = {"output_strides": {"conv_length": [1, 1, 16]}}
    assert run_case(of({"model": "FaceFormer", "tolerance": 0, "config": config}, arrays)).status == "ok"


@pytest.mark.parametrize("kept", [(), ("PPE.pe",)], ids=["not named", "named"])
def test_position_tables_may_be_missing(vocaset, kept):
    shapes = {name: shape for name, shape in vocaset.facts.shapes.items() if name != "PPE.pe"}
    bare = replace(without(vocaset, "state/PPE.pe"), facts=replace(vocaset.facts, shapes=shapes, kept=frozenset(kept)))
    assert run_case(changed(bare, {"prediction": vocaset.expected["prediction"]})).status == "ok"


def test_a_kept_table_that_is_not_stored_is_left_out(vocaset):
    bare = without(vocaset, "state/PPE.pe")
    assert "PPE.pe" in bare.facts.shapes
    assert run_case(changed(bare, {"prediction": vocaset.expected["prediction"]})).status == "ok"


Reshape = Callable[[np.ndarray], np.ndarray]
FORMS: dict[str, tuple[str, Reshape]] = {
    "audio (N,)": ("in/audio", lambda array: array[0]),
    "template (D,)": ("in/template", lambda array: array[0]),
    "template (V, 3)": ("in/template", lambda array: array.reshape(-1, 3)),
    "template (1, V, 3)": ("in/template", lambda array: array.reshape(1, -1, 3)),
    "one_hot (K,)": ("in/one_hot", lambda array: array[0]),
    "vertices (T, D)": ("in/vertices_short", lambda array: array[0]),
    "vertices (1, T, V, 3)": ("in/vertices_short", lambda array: array.reshape(1, 33, -1, 3)),
}


@pytest.mark.parametrize("form", FORMS)
def test_inputs_with_and_without_the_axis_of_the_clip(vocaset, form):
    name, reshape = FORMS[form]
    case = replace(vocaset, arrays={**vocaset.arrays, name: reshape(vocaset.arrays[name])})
    outputs = {name: vocaset.expected[name] for name in ("first_frame", "loss_teacher_forced_short")}
    assert run_case(changed(case, outputs)).status == "ok"


@pytest.mark.parametrize("as_text", [False, True])
def test_the_style_may_be_named_instead_of_stored(vocaset, as_text):
    subjects = vocaset.config["train_subjects"]
    outputs = {"first_frame": vocaset.expected["first_frame"]}
    named = changed(without(vocaset, "in/one_hot"), outputs, train_subjects=" ".join(subjects) if as_text else subjects)
    assert run_case(named).status == "ok"
    assert run_case(changed(named, outputs, subject_index=3)).status == "miss"
    complaint = run_case(changed(named, outputs, subject_index=len(subjects))).complaints[0]
    assert complaint.startswith("out/first_frame: needs in/one_hot, or a subject_index")


@pytest.mark.parametrize(
    ("name", "dataset"), [("vocaset", "VOCASET"), ("vocaset", "Vocaset"), ("biwi", "biwi"), ("biwi", "BIWI")]
)
def test_data_sets_are_known_in_any_case_and_bring_their_period(name, dataset):
    case = without(read_case(CASES / f"faceformer_{name}_small.json"), "period")
    outputs = {"first_frame": case.expected["first_frame"], "frames": np.array(case.config["frames"])}
    verdict = run_case(changed(case, outputs, dataset=dataset))
    assert verdict.status == "ok", verdict.complaints


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"dataset": "multiface"}, "the configuration's dataset is 'multiface'; known are vocaset, biwi"),
        ({"period": 25}, "period"),
        ({"n_head": 5}, "feature_dim = 64 is no multiple of heads = 5"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_network_that_cannot_be_built_is_complained_of_once(vocaset, config, complaint):
    verdict = run_case(changed(vocaset, vocaset.expected, **config))
    assert (verdict.status, verdict.line().split()[2]) == ("miss", "inf")
    assert len(verdict.complaints) == 1
    assert verdict.complaints[0].startswith("the network cannot be built: ")
    assert complaint in verdict.complaints[0]


def test_no_network_is_not_missed_by_what_needs_none(vocaset):
    outputs = {"slopes_2_heads": np.array([2**-4, 2**-8]), "memory": np.zeros(1), "prediction": np.zeros(1)}
    bare = replace(vocaset, facts=replace(vocaset.facts, shapes={}))
    assert run_case(changed(bare, outputs)).complaints == ["there is no network: the case has no state"]


@pytest.mark.parametrize("last", ["weight_g", "parametrizations.weight.original0"])
def test_both_spellings_of_weight_norm_are_known(vocaset, last):
    """Weights are drawn by name, so the newer spelling means other weights: only what comes before them is equal."""
    shapes = {name.replace("weight_g", last): shape for name, shape in vocaset.facts.shapes.items()}
    case = replace(vocaset, facts=replace(vocaset.facts, shapes=shapes))
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
    verdict = run_case(of(facts, {f"out/{name}": array for name, array in names.items()}))
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
    case = of(facts, {"in/samples": np.array([16000]), "out/frames_biwi": np.array([25])})
    assert run_case(case).status == "miss"


def test_diversity_is_the_published_number_to_the_last_bit(measured):
    verdict = run_case(changed(measured, {"diversity": measured.expected["diversity"]}))
    assert (verdict.status, verdict.difference) == ("ok", 0.0)


def blendshapes(subjects: tuple[str, ...]) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(5)
    return {f"in/bs_{kind}_{subject}_s": draw.normal(size=(6, 9)) for subject in subjects for kind in ("gt", "pred")}


@pytest.mark.parametrize("subjects", [("M1",), ("gt1", "pgt"), ("bs_gt_a", "b", "c")])
def test_blendshapes_of_any_subjects(subjects):
    """Only the prefix tells truth from prediction: a subject may be called anything."""
    arrays = blendshapes(subjects)
    pairs = [(arrays[f"in/bs_gt_{subject}_s"], arrays[f"in/bs_pred_{subject}_s"]) for subject in subjects]
    error = np.mean([np.linalg.norm(truth - prediction, axis=1).mean() for truth, prediction in pairs])
    facts = {"model": "metrics", "tolerance": 1e-12}
    assert run_case(of(facts, {**arrays, "out/bs_mve": error})).status == "ok"


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize(("vertices", "subjects", "sentences", "conditions"), [(5, 1, 1, 2), (11, 2, 3, 4)])
def test_metrics_of_any_sizes(vertices, subjects, sentences, conditions, flat):
    draw = np.random.default_rng(7)
    names = [f"S{i}" for i in range(subjects)], [f"e{i}" for i in range(sentences)]
    sequences = [f"{subject}_{sentence}" for subject in names[0] for sentence in names[1]]
    shape = (8, 3 * vertices) if flat else (8, vertices, 3)
    arrays = {f"in/{kind}_{name}": draw.normal(size=shape) for name in sequences for kind in ("gt", "pred")}
    for name in sequences:
        arrays |= {f"in/div_{name}_condition_{c}": draw.normal(size=shape) for c in range(conditions)}
    squared = [
        np.square(arrays[f"in/gt_{name}"] - arrays[f"in/pred_{name}"]).reshape(8, -1, 3).sum(2) for name in sequences
    ]
    pairs = [
        np.linalg.norm(
            (arrays[f"in/div_{name}_condition_{a}"] - arrays[f"in/div_{name}_condition_{b}"]).reshape(-1, 3), axis=1
        )
        for name in sequences
        for a in range(conditions)
        for b in range(a)
    ]
    arrays |= {f"in/template_{subject}": np.zeros((vertices, 3)) for subject in names[0]}
    arrays |= {"in/mouth_vertices": np.array([1, 4]), "out/lve": np.mean([s[:, [1, 4]].max(1) for s in squared])}
    arrays |= {
        "out/fd_mve": np.sqrt(squared).mean(),
        "out/diversity": np.mean(pairs),
        "out/frames": np.array(8 * len(sequences)),
    }
    config = {"subjects": names[0], "sentences": names[1], "diversity_subjects": names[0]}
    verdict = run_case(of({"model": "metrics", "tolerance": 1e-12, "config": config}, arrays))
    assert verdict.status == "ok", verdict.complaints
