"""The runner of CodeTalker's first stage: other sizes, subsets and forms of a case, and what it must not let pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.positions import periodic_encoding
from tests.golden.case import Case, read_case
from tests.golden.run import run_case

CASES = Path(__file__).parent / "cases"


def only(case: Case, outputs: Mapping[str, np.ndarray]) -> Case:
    """The case with these outputs instead of its own."""
    inputs = {name: array for name, array in case.arrays.items() if not name.startswith("out/")}
    return replace(case, arrays={**inputs, **{f"out/{name}": array for name, array in outputs.items()}})


def configured(case: Case, **config: object) -> Case:
    return replace(case, facts=replace(case.facts, config={**case.config, **config}))


@pytest.fixture(scope="module", params=["vocaset", "biwi"])
def case(request) -> Case:
    return read_case(CASES / f"codetalker_vq_{request.param}_small.json")


@pytest.mark.parametrize("name", ["vertices", "indices", "offsets_from_indices", "rec_loss", "perplexity"])
def test_a_wrong_number_is_a_miss(case, name):
    assert run_case(only(case, {name: case.expected[name]})).status == "ok"
    wrong = case.expected[name] + np.ones((), case.expected[name].dtype)
    assert run_case(only(case, {name: wrong})).complaints[0].startswith(f"out/{name}: differs by")


def test_gradients_have_a_tolerance_of_their_own(case):
    name = "grad/encoder.squasher.0.0.bias"
    assert case.facts.tolerance_for(name) == 2e-5
    verdict = run_case(only(case, {name: case.expected[name] + np.float32(1e-4)}))
    assert (verdict.status, verdict.tolerance) == ("miss", 2e-5)


def test_what_nobody_knows_is_a_miss(case):
    verdict = run_case(only(case, {"eyebrows": np.zeros(3), "grad/quantize.nonsense": np.zeros(3)}))
    assert verdict.complaints == [
        "out/eyebrows: no such output is known for this model",
        "out/grad/quantize.nonsense: the network has no such parameter",
    ]


Reshape = Callable[[np.ndarray], np.ndarray]
FORMS: dict[str, tuple[str, Reshape]] = {
    "template (D,)": ("in/template", lambda array: array[0]),
    "template (V, 3)": ("in/template", lambda array: array.reshape(-1, 3)),
    "vertices (T, D)": ("in/vertice", lambda array: array[0]),
    "vertices (1, T, V, 3)": ("in/vertice", lambda array: array.reshape(1, len(array[0]), -1, 3)),
}


@pytest.mark.parametrize("form", FORMS)
def test_inputs_with_and_without_the_axis_of_the_clip(case, form):
    name, reshape = FORMS[form]
    changed = replace(case, arrays={**case.arrays, name: reshape(case.arrays[name])})
    assert run_case(only(changed, {name: case.expected[name] for name in ("indices", "loss")})).status == "ok"


def test_strides_and_scales_apply(case):
    part = configured(case, output_strides={"vertices": [1, 3, 7], "quantised": [1, 2, 5]})
    expected = {
        "vertices": case.expected["vertices"][:, ::3, ::7],
        "quantised": case.expected["quantised"][:, ::2, ::5],
    }
    assert run_case(only(part, expected)).status == "ok"
    still = configured(case, scales={"decoder.vertice_map_reverse.weight": 0.0})
    offsets = np.zeros_like(case.expected["offsets_from_indices"])
    offsets += case.state().get("decoder.vertice_map_reverse.bias", np.float32(0))
    assert run_case(only(still, {"offsets_from_indices": offsets})).status == "ok"


def test_position_tables_may_be_stored(case):
    """Official files hold them; only the usual sinusoids will do."""
    name, hidden = "encoder.encoder_pos_embedding.pe", case.config["hidden_size"]
    facts = replace(case.facts, shapes={**case.facts.shapes, name: (5000, 1, hidden)}, kept=frozenset({name}))
    indices = {"indices": case.expected["indices"]}
    table = periodic_encoding(5000, hidden, 5000)[:, None].numpy()
    for stored, status in (({f"state/{name}": table}, "ok"), ({}, "ok"), ({f"state/{name}": table[::-1]}, "miss")):
        assert run_case(only(replace(case, facts=facts, arrays={**case.arrays, **stored}), indices)).status == status


@pytest.mark.parametrize(
    ("config", "complaint"),
    [({"quant_factor": 1}, "quant_factor = 1"), ({"num_attention_heads": 5}, "no multiple of heads = 5")],
)
def test_a_network_that_cannot_be_built_is_complained_of_once(case, config, complaint):
    verdict = run_case(configured(case, **config))
    assert len(verdict.complaints) == 1
    assert verdict.complaints[0].startswith("the network cannot be built: ")
    assert complaint in verdict.complaints[0]


def test_no_state_is_no_network(case):
    bare = replace(case, facts=replace(case.facts, shapes={}))
    assert run_case(bare).complaints == ["there is no network: the case has no state"]
