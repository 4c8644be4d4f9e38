"""Published files of head models: tiny ones in the very same format load, and what is wrong is said in a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from faces.errors import DataError
from models.nphm.assets import read_anchor_vertices, read_anchors, read_code, read_statistics
from models.nphm.codes import drawn_identities, looked_up
from models.nphm.files import read_mono, read_nphm
from models.nphm.sizes import CanonicalSizes, Slots
from tests.models.nphm import tiny

POINTS = torch.rand(1, 40, 3, generator=torch.Generator().manual_seed(1)) - 0.5


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    tiny.write_assets(tmp_path / "assets", tiny.IDENTITY)
    return tiny.write_assets(tmp_path / "assets", tiny.CANONICAL)


def mono_file(folder: Path, change=lambda held: None) -> Path:
    held = tiny.mono_content(tiny.mono_model(colour=True))
    change(held)
    path = folder / "mono.tar"
    torch.save(held, path)
    return path


def test_nphm_of_its_two_files_is_the_model_that_wrote_them(tmp_path, assets):
    made = tiny.forward_model()
    codes = tiny.codes(made)
    expected = made.field(POINTS, codes[0]), made.posed(POINTS, *codes)  # before an optimiser's step moves them
    identity, expression = tiny.write_nphm(tmp_path, tiny.forward_model())
    found = read_nphm(identity, expression, assets)
    assert not found.model.training
    torch.testing.assert_close(found.model.field(POINTS, codes[0]), expected[0])
    torch.testing.assert_close(found.model.posed(POINTS, *codes), expected[1])
    assert found.model.deformation.sizes == tiny.FORWARDS
    assert (len(found.identities.rows), len(found.expressions.rows)) == (3, 5)


def test_a_head_at_rest_needs_no_expression_file(tmp_path, assets):
    identity, _ = tiny.write_nphm(tmp_path, tiny.forward_model())
    found = read_nphm(identity, None, assets)
    assert found.model.deformation is None
    assert found.expressions is None
    assert found.model.field(POINTS, found.identities.code(2)[None]).shape == (1, 40)
    with pytest.raises(ValueError, match="moves points nowhere tells no posed places"):
        found.model.posed(POINTS, found.identities.code(2)[None])


def test_mononphm_of_its_one_file_is_the_model_that_wrote_it(tmp_path, assets):
    made = tiny.mono_model(colour=True)
    codes = tiny.codes(made)
    look = torch.randn(1, tiny.CANONICAL.appearance)
    expected = made.field(POINTS, *codes), made.identity.colours(made.canonical(POINTS, *codes), codes[0], look)
    path = mono_file(tmp_path)
    plain, coloured = read_mono(path, assets), read_mono(path, assets, colour=True)
    assert coloured.model.identity.sizes == tiny.CANONICAL
    assert coloured.model.deformation.sizes == tiny.BACKWARDS
    for found in plain, coloured:
        torch.testing.assert_close(found.model.field(POINTS, *codes), expected[0])
    points = coloured.model.canonical(POINTS, *codes)
    torch.testing.assert_close(coloured.model.identity.colours(points, codes[0], look), expected[1])
    assert not any("aggr_app" in name for name, _ in plain.model.named_parameters())
    assert plain.appearances is None
    assert coloured.appearances.rows.shape == (3, tiny.CANONICAL.appearance)


def test_what_no_file_tells_is_given_or_that_of_the_time(tmp_path, assets):
    path = mono_file(tmp_path)
    sizes = read_mono(path, assets, neighbours=5, spread=4.0).model.identity.sizes
    assert (sizes.neighbours, sizes.spread) == (5, 4.0)
    sizes = read_mono(path, assets).model.identity.sizes
    assert (sizes.neighbours, sizes.spread) == (12, 3.75)


@pytest.mark.parametrize("skip", ["shrunk", "appended"])
def test_the_head_model_of_facetalk_is_built_from_the_same_parts(tmp_path, skip):
    """39 anchors, 16 pairs, 200 numbers of expression; both ways of the skip; eight neighbours, as its time had it."""
    from models.nphm.head import BACKWARD
    from models.nphm.sizes import DeformationSizes

    canonical = CanonicalSizes(anchors=39, pairs=16, neighbours=8, spread=4.0, width=12)
    deformation = DeformationSizes(hyper=2, width=260, skip=skip)
    assert (canonical.identity, deformation.identity) == (1344, 1344)
    made = tiny.model(canonical, deformation, BACKWARD)
    path, names = tmp_path / "own.tar", ("identity", "deformation")
    parts = [{n: v for n, v in getattr(made, name).state_dict().items() if n != "mean_anchors"} for name in names]
    torch.save({"id_decoder": parts[0], "ex_decoder": parts[1]}, path)
    found = read_mono(path, tiny.write_assets(tmp_path / "assets", canonical))
    assert (found.model.identity.sizes, found.model.deformation.sizes) == (canonical, deformation)
    assert (found.identities, found.expressions) == (None, None)
    codes = tiny.codes(made)
    torch.testing.assert_close(found.model.field(POINTS, *codes), made.field(POINTS, *codes))


def dropped(*names):
    def change(held):
        for name in names[:-1]:
            held = held[name]
        del held[names[-1]]

    return change


def replaced(part, name, make):
    def change(held):
        held[part][name] = make(held[part][name])

    return change


def without_colour(held):
    held["id_decoder"] = {n: v for n, v in held["id_decoder"].items() if not n.startswith(("aggr", "commun"))}


WRONG = {
    "no id_decoder": (dropped("id_decoder"), "holds no state dict under 'id_decoder'"),
    "no anchors' network": (dropped("id_decoder", "mlp_pos.4.weight"), "no MonoNPHM: its id_decoder lacks mlp_pos.4"),
    "no compressor": (dropped("ex_decoder", "compressor.0.weight"), "its ex_decoder lacks compressor.0.weight"),
    "a bias is missing": (dropped("id_decoder", "mlp_pos.2.bias"), "does not fit this network: missing mlp_pos.2.bias"),
    "a vector for a matrix": (
        replaced("ex_decoder", "defDeepSDF.lin0.weight", lambda value: value[0]),
        "ex_decoder of .* is damaged: the shapes of its entries do not go together",
    ),
    "another identity": (
        replaced("ex_decoder", "compressor.0.weight", lambda value: value[:, :-1]),
        "told in 116 numbers, but the identity network tells 117",
    ),
    "a layer of another width": (
        replaced("id_decoder", "deepSDFensemble.layers.3.layers.2.weight", lambda value: value[:-1]),
        r"layers\.3\.layers\.2\.weight is \(19, 20\) instead of \(20, 20\)",
    ),
    "not a number": (
        replaced("ex_decoder", "defDeepSDF.lin2.bias", lambda value: value * torch.nan),
        r"ex_decoder of .* holds numbers that are not finite \(defDeepSDF.lin2.bias\)",
    ),
    "codes of another width": (
        replaced("latent_codes", "codebook.exp.embedding.weight", lambda value: value[:, :4]),
        r"its codes codebook.exp.embedding.weight are \(5, 4\), and its network takes 10",
    ),
    "codes lack a table": (dropped("latent_codes", "codebook.geo.embedding.weight"), "its codes lack codebook.geo"),
    "codes that are no numbers": (
        replaced("latent_codes", "codebook.geo.embedding.weight", lambda value: value * torch.inf),
        "holds codes that are not finite",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_damaged_file_is_told_in_a_sentence(tmp_path, assets, name):
    change, sentence = WRONG[name]
    with pytest.raises(DataError, match=sentence) as told:
        read_mono(mono_file(tmp_path, change), assets)
    assert "\n" not in str(told.value)


def test_colour_that_is_not_there_is_told(tmp_path, assets):
    path = mono_file(tmp_path, without_colour)
    assert read_mono(path, assets).model.identity.sizes.colour == 0
    with pytest.raises(DataError, match="holds no colour; leave it out"):
        read_mono(path, assets, colour=True)


def test_files_in_each_others_place_are_told(tmp_path, assets):
    identity, expression = tiny.write_nphm(tmp_path, tiny.forward_model())
    with pytest.raises(DataError, match="is no identity network of NPHM: it lacks ensembled_deep_sdf"):
        read_nphm(expression, identity, assets)
    with pytest.raises(DataError, match="is no deformation network of NPHM: it lacks compressor"):
        read_nphm(identity, identity, assets)
    with pytest.raises(DataError, match="holds no state dict under 'decoder_state_dict'"):
        read_nphm(mono_file(tmp_path), None, assets)
    with pytest.raises(DataError, match="does not exist"):
        read_nphm(tmp_path / "absent.tar", None, assets)


def test_a_file_that_would_run_code_is_refused(tmp_path, assets):
    class Runs:
        def __reduce__(self):
            return Path, (str(tmp_path / "ran"),)

    path = tmp_path / "odd.tar"
    torch.save({"decoder_state_dict": {"a": torch.zeros(1)}, "epoch": Runs()}, path)
    with pytest.raises(DataError, match="is no checkpoint of tensors alone"):
        read_nphm(path, None, assets)


def test_codes_are_looked_up_as_the_published_tables_do():
    lengths = torch.tensor([0.01, 1, 2, 0.1, 3, 0])[:, None]
    table = lengths * torch.randn(6, 9, generator=torch.Generator().manual_seed(2))
    rows = torch.tensor([4, 0, 5, 2])
    published = torch.nn.Embedding(6, 9, max_norm=1.0, _weight=table.clone())
    torch.testing.assert_close(looked_up(table, rows), published(rows).detach())


def test_a_code_that_is_not_there_is_told(tmp_path, assets):
    found = read_mono(mono_file(tmp_path), assets)
    assert float(found.identities.code(1).norm()) == pytest.approx(1.0, abs=1e-5)
    for number in (-1, 3):
        with pytest.raises(DataError, match=f"holds codes 0 to 2, and number {number} is asked for"):
            found.identities.code(number)


SIZES = Slots(tiny.IDENTITY.anchors, tiny.IDENTITY.pairs, tiny.IDENTITY.global_code, tiny.IDENTITY.local_code)


def test_assets_are_read(tmp_path):
    folder = tiny.write_assets(tmp_path / "assets", tiny.IDENTITY)
    assert read_anchors(folder, SIZES).dtype == torch.float32
    np.testing.assert_allclose(read_anchors(folder, SIZES), tiny.anchors(11, 4), rtol=1e-6)
    assert read_anchor_vertices(folder, SIZES, 100).tolist() == list(range(0, 77, 7))
    told = read_statistics(folder, SIZES)
    drawn = drawn_identities(told.mean, told.deviation, 4000, torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn.std(0), 0.85 * told.deviation, rtol=0.06, atol=0)
    torch.testing.assert_close(drawn.mean(0), told.mean, rtol=0, atol=0.06)


@pytest.mark.parametrize(
    ("name", "array", "sentence"),
    [
        ("anchors_11.npy", None, "anchors_11.npy does not exist: a head model of 11 anchors needs it"),
        (
            "anchors_11.npy",
            np.zeros((12, 3)),
            r"an array \(12, 3\), but the anchors of the weights are \(11, 3\)",
        ),
        ("anchors_11.npy", np.zeros((11, 3), int), "holds int64, not floating-point numbers"),
        ("anchors_11.npy", np.full((11, 3), np.nan), "holds numbers that are not finite"),
        ("lm_inds_11.npy", np.zeros(11), "holds float64 .* not the numbers of 11 vertices"),
        ("lm_inds_11.npy", np.full(11, 100), "names vertex 100, and the registration has 100"),
        ("nphm_lat_mean.npy", np.zeros(1344, np.float32), r"are \(56,\)"),
        ("nphm_lat_std.npy", np.full(56, -1.0), "standard deviations below zero"),
        ("nphm_lat_std.npy", None, "cannot be read"),
    ],
)
def test_an_asset_that_does_not_fit_is_told(tmp_path, name, array, sentence):
    folder = tiny.write_assets(tmp_path / "assets", tiny.IDENTITY)
    (folder / name).unlink()
    if array is not None:
        np.save(folder / name, array)
    with pytest.raises(DataError, match=sentence):
        read_anchors(folder, SIZES), read_anchor_vertices(folder, SIZES, 100), read_statistics(folder, SIZES)


def test_a_code_file_may_hold_a_row(tmp_path):
    np.save(tmp_path / "z.npy", np.arange(4.0)[None])
    assert read_code(tmp_path / "z.npy", 4, "expression").tolist() == [0, 1, 2, 3]
    with pytest.raises(DataError, match=r"holds an array \(4,\), but the model's expression codes are \(5,\)"):
        read_code(tmp_path / "z.npy", 5, "expression")
