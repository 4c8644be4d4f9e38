"""The kind `head`: a neural parametric head model, with the codes of the heads that it learnt from.

`model.safetensors` holds the weights under the names of the published files (`id_decoder.…`, `ex_decoder.…`),
`head.json` their sizes, how the model moves points, and the similarity that takes a data set's meshes into the model's
space; `codes.npz` the mean anchors, the table of identity codes, and mean and standard deviation of the codes.
`Head(path)` reads such an artifact; what is missing or not as it should be is a `DataError`. Importing this module
loads no torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faces.errors import DataError, said
from stages.kinds.plain import read_as, remade_by, write_json
from stages.kinds.sequences import Sequences

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from models.nphm.head import HeadModel

WEIGHTS = "model.safetensors"
INDEX = "head.json"
CODES = "codes.npz"
PARTS = {"identity.": "id_decoder.", "deformation.": "ex_decoder."}
"""What a part is called in `HeadModel` and in files."""
ANCHORS = "mean_anchors"
NPHM_PER_METRE = 4.0
"""NPHM's unit is a quarter of a metre."""
METRES = {"m": 1.0, "mm": 1e-3, "nphm": 1 / NPHM_PER_METRE}


@dataclass(frozen=True)
class Info:
    """What `head.json` says.

    form: "nphm", members blended with one width, or "mono", with those of the nearest anchors and hyper coordinates.
    moves: "backward" or "forward". identity, deformation: their sizes. dataset, units, up: of the data that it was
    fitted to; a published model's is "", "m", "y". scale, shift: a mesh's point p stands at scale · p + shift in the
    model's space. subjects: whose the rows of the table of identity codes are, in order, with the digest of the
    template. vertices: V of the data's topology, of which `anchor_vertices` are; 0 where no topology is known.
    """

    form: str
    moves: str
    identity: Mapping[str, Any]
    deformation: Mapping[str, Any]
    dataset: str
    units: str
    up: str
    scale: float
    shift: Sequence[float]
    subjects: Mapping[str, str]
    vertices: int

    @property
    def expression(self) -> int:
        """Numbers of an expression code."""
        return int(self.deformation["expression"])


@dataclass(frozen=True)
class Tables:
    """What `codes.npz` holds, float32 but for the last.

    anchors: (K, 3) mean anchors. identities: (S, D), row by row of `Info.subjects`. identity_mean, identity_deviation:
    (D,). expression_mean, expression_deviation: (E,), of the frames that were fitted. anchor_vertices: (K,) vertices of
    the topology that the anchors are, empty where none is known.
    """

    anchors: NDArray[np.float32]
    identities: NDArray[np.float32]
    identity_mean: NDArray[np.float32]
    identity_deviation: NDArray[np.float32]
    expression_mean: NDArray[np.float32]
    expression_deviation: NDArray[np.float32]
    anchor_vertices: NDArray[np.int64]


def write_head(folder: Path, info: Info, tables: Tables, model: HeadModel) -> None:
    """Write a whole artifact."""
    import numpy as np

    from stages.kinds.checkpoint import write_weights

    state = {_published(name): value for name, value in model.state_dict().items() if not name.endswith(ANCHORS)}
    write_weights(folder / WEIGHTS, state)
    write_json(folder / INDEX, asdict(info))
    np.savez(folder / CODES, **vars(tables))


class Head:
    """Reads an artifact of the kind `head`."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    @cached_property
    def info(self) -> Info:
        return read_as(Info, self.path / INDEX, "does not describe a head model", "make it with headfit")

    @cached_property
    def tables(self) -> Tables:
        from faces.arrays import read_npz

        with remade_by("headfit", self.path / CODES):
            found = read_npz(self.path / CODES)
        try:
            return Tables(**found)
        except TypeError as error:
            raise DataError(f"{self.path / CODES} holds other arrays ({said(error)}); make it with headfit") from error

    @cached_property
    def digest(self) -> str:
        """What tells this head model from others, in whose codes the same numbers are other faces: of its weights and
        tables, wherever they lie."""
        total = hashlib.sha256()
        for file in (self.path / WEIGHTS, self.path / CODES):
            with remade_by("headfit", file):
                total.update(_sha256(file))
        return total.hexdigest()[:16]

    def check_codes(self, known: str, where: Path) -> None:
        """DataError where codes that lie in a folder are known to be of another head. known: their head's digest, ""
        where nobody knows."""
        if known and known != self.digest:
            raise DataError(
                f"{where} holds codes of the head model {known}, and {self.path} is {self.digest}: give the head that "
                "the stage track was given, or track these data with this one, and train on what that makes"
            )

    def model(self, device: str = "cpu") -> HeadModel:
        """The network in eval mode, which learns no more. DataError where files do not fit each other."""
        import torch

        from models.nphm.head import HeadModel
        from models.nphm.sizes import CanonicalSizes, DeformationSizes, IdentitySizes
        from models.unfilled import unfilled
        from stages.kinds.checkpoint import read_weights

        info, place = self.info, f"{self.path / INDEX} and {WEIGHTS} beside it do not fit"
        sizes = CanonicalSizes if info.form == "mono" else IdentitySizes
        state = {_ours(name): value for name, value in read_weights(self.path / WEIGHTS).items()}
        state[f"identity.{ANCHORS}"] = torch.from_numpy(self.tables.anchors)
        try:
            with unfilled():
                model = HeadModel.build(
                    sizes(**info.identity), DeformationSizes(**info.deformation), moves=info.moves
                )  # fmt: skip
            model.load_state_dict(state)
        except (TypeError, ValueError, RuntimeError) as error:
            first = str(error).strip().splitlines()[-1].strip().rstrip(".")
            raise DataError(f"{place} ({said(first)}); make the head anew") from None
        return model.to(device).eval().requires_grad_(False)

    def into(self, points: NDArray[np.floating]) -> NDArray[np.float32]:
        """Points (…, 3) of the data, in the model's space."""
        import numpy as np

        moved = np.asarray(points, np.float64) * self.info.scale + np.asarray(self.info.shift)
        return moved.astype(np.float32)

    def back(self, points: NDArray[np.floating]) -> NDArray[np.float32]:
        """Points (…, 3) of the model's space, in the data's units."""
        import numpy as np

        moved = (np.asarray(points, np.float64) - np.asarray(self.info.shift)) / self.info.scale
        return moved.astype(np.float32)

    @property
    def millimetres(self) -> float:
        """How many of them the model's unit is."""
        return 1e3 * METRES[self.info.units] / self.info.scale

    def facing(self, data: Sequences) -> Head:
        """This head for a data set's meshes: a published one for those of any unit of length, one that was fitted here
        for those that lie as its own. DataError for others."""
        if self.info.dataset:
            self.check_alike(data)
            return self
        scale, shift = fitting(data.units, data.info.up, data.path)
        made = Head(self.path)
        made.__dict__["info"] = replace(self.info, units=data.units, up=data.info.up, scale=scale, shift=shift)
        return made

    def check_alike(self, data: Sequences) -> None:
        """DataError where a data set's meshes do not lie as those that the model was fitted to."""
        info = self.info
        if (data.units, data.info.up) != (info.units, info.up):
            raise DataError(
                f"{self.path} is a head for meshes in {info.units} with {info.up} up, and {data.path} is in "
                f"{data.units} with {data.info.up} up: fit one to this data set"
            )

    def known(self, data: Sequences, subject: str) -> NDArray[np.float32] | None:
        """The identity code (D,) of a subject that the head was fitted to, None where the data's is another one."""
        digest = self.info.subjects.get(subject)
        if digest is None or digest != data.template_digests.get(subject):
            return None
        row: NDArray[np.float32] = self.tables.identities[list(self.info.subjects).index(subject)]
        return row

    def anchor_vertices(self, vertices: int) -> NDArray[np.int64] | None:
        """(K,) which vertices of a topology the anchors are, None where it is not the one of the fit."""
        found = self.tables.anchor_vertices
        return found if len(found) and vertices == self.info.vertices else None


def fitting(units: str, up: str, where: Path) -> tuple[float, tuple[float, float, float]]:
    """Scale and shift into NPHM's space for meshes whose origin lies as FLAME's, in the head. DataError for others."""
    if units not in METRES or up != "y":
        raise DataError(
            f"{where} is in {units} with {up} up, and a head model wants meshes in {', '.join(METRES)} with y up"
        )
    return NPHM_PER_METRE * METRES[units], (0.0, 0.0, 0.0)


def _sha256(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except OSError as error:
        raise DataError(said(error)) from error


def _published(name: str) -> str:
    return next(theirs + name.removeprefix(ours) for ours, theirs in PARTS.items() if name.startswith(ours))


def _ours(name: str) -> str:
    return next((ours + name.removeprefix(theirs) for ours, theirs in PARTS.items() if name.startswith(theirs)), name)
