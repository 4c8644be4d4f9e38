"""Runners of the cases of the mouth's renderer: the z-buffer with its weights, and those of "audio-visual guidance",
whose losses are the guided network's own.

The cases let a few pixels whose centre lies on an edge go to either side. None is let go here: so far none does.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from faces.mouth.camera import EPSILON, PUBLISHED, MouthCamera, Window
from faces.mouth.renderer import MouthRenderer
from faces.mouth.surface import interpolate
from faces.mouth.visibility import visible
from faces.region_registry import Match, identify
from models.avguidance import Settings
from models.avguidance.face import GuidedFaceFormer
from models.listening import Lesson
from models.talking_face import Clips, DataFacts
from tests.golden.case import Case
from tests.golden.patterns import Patterns

raster, video, guidance = Patterns(), Patterns(), Patterns()


def camera_of(case: Case, dataset: str) -> MouthCamera:
    """The published camera, which must be what the case's configuration says."""
    config, found = case.config, PUBLISHED[dataset]
    scale = config["scale"][dataset] if "scale" in config else config["camera_scale"]
    columns = config["crop_columns"]
    rows, columns = config["crop_rows"], columns[dataset] if isinstance(columns, dict) else columns
    margin = (rows[1] - rows[0] - config["centre_crop"]) // 2
    told = MouthCamera(
        scale,
        picture=config["image_size"],
        rows=(rows[0] + margin, rows[1] - margin),
        columns=(columns[0] + margin, columns[1] - margin),
        mean=config["mean"],
        std=config["std"],
    )
    assert told == found, f"the case has {told}, published is {found}"
    return found


class RasteriserRunner:
    """Nearest triangle, depth, mixed attributes and gradients of a picture whose axes run from -1 to 1."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.size = case.config["image_size"]
        self.window = Window(-self.size / 2, -self.size / 2, self.size, self.size)
        self.faces = torch.from_numpy(case.input("faces")).long()

    def output(self, name: str) -> np.ndarray:
        return raster.compute(self, name)

    def screen(self, vertices: Tensor, perspective: bool) -> Tensor:
        """(1, V, 3) as `visible` takes it."""
        nearness = 1 / vertices[:, 2] if perspective else -vertices[:, 2]
        return torch.cat([vertices[:, :2] * (self.size / 2), nearness[:, None]], dim=1)[None]

    def drawn(self, kind: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Vertices and attributes (leaves), the triangles seen (H, W), and (4, H, W): attributes and depth."""
        perspective = kind == "perspective"
        vertices = torch.from_numpy(self.case.input(f"{kind}_vertices")).requires_grad_()
        attributes = torch.from_numpy(self.case.input("attributes")).requires_grad_()
        screen, area = self.screen(vertices, perspective), EPSILON * (self.size / 2) ** 2
        owner = visible(screen, self.faces, self.window, least_area=area, least=0.0 if perspective else -np.inf)
        values = torch.cat([attributes, vertices[:, 2:]], dim=1)[None]
        drawn = interpolate(screen, values, self.faces, owner, self.window, guard=area, perspective=perspective)[0]
        return vertices, attributes, owner[0], drawn

    def gradients(self, kind: str) -> tuple[np.ndarray, np.ndarray]:
        vertices, attributes, _, drawn = self.drawn(kind)
        (drawn[:3] * torch.from_numpy(self.case.input("weight"))).sum().backward()
        assert vertices.grad is not None
        assert attributes.grad is not None
        return vertices.grad.numpy(), attributes.grad.numpy()


@raster("(affine|perspective)_pix_to_face")
def _faces(runner: RasteriserRunner, kind: str) -> Tensor:
    return runner.drawn(kind)[2]


@raster("(affine|perspective)_depth")
def _depth(runner: RasteriserRunner, kind: str) -> Tensor:
    return runner.drawn(kind)[3][3].detach()


@raster("(affine|perspective)_image")
def _image(runner: RasteriserRunner, kind: str) -> Tensor:
    return runner.drawn(kind)[3][:3].detach()


@raster("(affine|perspective)_grad_vertices_milli")
def _to_vertices(runner: RasteriserRunner, kind: str) -> np.ndarray:
    return runner.gradients(kind)[0] / 1000


@raster("(affine|perspective)_grad_attributes")
def _to_attributes(runner: RasteriserRunner, kind: str) -> np.ndarray:
    return runner.gradients(kind)[1]


class MouthRunner:
    """VOCASET's camera: what is seen and its light in the whole picture, and the mouth."""

    def __init__(self, case: Case) -> None:
        self.renderer = MouthRenderer(case.input("faces"), camera_of(case, "vocaset"))
        self.vertices = torch.from_numpy(case.input("vertices"))

    def output(self, name: str) -> np.ndarray:
        return video.compute(self, name)

    @cached_property
    def owner(self) -> Tensor:
        """(T, 224, 224)."""
        return self.renderer.visible(self.vertices, self.renderer.camera.whole)


@video("pix_to_face")
def _first_seen(runner: MouthRunner) -> Tensor:
    return runner.owner[0]


@video("image")
def _light(runner: MouthRunner) -> Tensor:
    return runner.renderer.light(runner.vertices, runner.owner, runner.renderer.camera.whole)[:, ::2, ::2]


@video("mouth")
def _mouth(runner: MouthRunner) -> Tensor:
    return runner.renderer(runner.vertices)


class Said:
    """Stands where the expert does, and says what the case has it say."""

    def __init__(self, loss: float) -> None:
        self.loss = loss

    def losses(self, motion: Tensor, wave: Tensor, text: list[int], *, training: bool) -> dict[str, Tensor]:
        return {name: torch.tensor(self.loss) for name in ("loss", "ctc", "attention")}


class GuidanceRunner:
    """Both data sets' cameras, the gradient of a weighted sum of the video, and the sum of the losses."""

    def __init__(self, case: Case) -> None:
        self.case = case

    def output(self, name: str) -> np.ndarray:
        return guidance.compute(self, name)

    def renderer(self, dataset: str) -> MouthRenderer:
        return MouthRenderer(self.case.input("faces"), camera_of(self.case, dataset))

    def vertices(self, dataset: str) -> Tensor:
        return torch.from_numpy(self.case.input(f"vertices_{dataset}"))

    @cached_property
    def losses(self) -> dict[str, Tensor]:
        """Of the guided network, whose decoder is made to say the case's prediction: a frame for each channel."""
        said, truth = (torch.from_numpy(self.case.input(name)) for name in ("prediction", "target"))
        frames, config = said.shape[1], self.case.config
        settings = Settings(
            feature_dim=4 * frames, encoder_width=16, encoder_layers=1, lip_weight=config["lip_vert_weight"],
            guidance_weight=config["lipread_weight"],
        )  # fmt: skip
        lips = self.case.expected["lip_vertices"].tolist()
        facts = DataFacts(config["vertices"], 30.0, ("A",), 512, "log-mel", regions={"lips": lips})
        network = GuidedFaceFormer.build(settings, facts).eval()
        with torch.no_grad():
            network.vertice_map_r.weight[:, :frames] = said[0].T
        network._critic = Said(float(self.case.input("av_loss")))  # type: ignore[assignment]
        nothing, count = torch.zeros(1, 1), torch.ones(1, dtype=torch.int64)
        clips = Clips(
            nothing[None], count, torch.zeros_like(truth[:, 0]), nothing, text=nothing.long(), text_lengths=count,
            sound=nothing, sound_lengths=count,
        )  # fmt: skip
        decoded = torch.eye(frames, 4 * frames)[None]
        return network._guided(decoded, Lesson(nothing[None], [frames], truth), clips)


@guidance("image_(vocaset|biwi)_frame0")
def _first_light(runner: GuidanceRunner, dataset: str) -> Tensor:
    renderer, vertices = runner.renderer(dataset), runner.vertices(dataset)[:1]
    whole = renderer.camera.whole
    return renderer.light(vertices, renderer.visible(vertices, whole), whole)[0]


@guidance("video_(vocaset|biwi)")
def _video(runner: GuidanceRunner, dataset: str) -> Tensor:
    return runner.renderer(dataset)(runner.vertices(dataset))[:, 0]


@guidance("unit_grad_vertices_(vocaset|biwi)")
def _unit_gradient(runner: GuidanceRunner, dataset: str) -> Tensor:
    vertices = runner.vertices(dataset).double().requires_grad_()
    frames = runner.renderer(dataset)(vertices)[:, 0]
    y, x = (torch.arange(88.0, dtype=torch.float64).view(shape) for shape in ((-1, 1), (1, -1)))
    weight = torch.stack([torch.sin(0.21 * y + 0.13 * x), torch.cos(0.17 * y - 0.11 * x)])
    (gradient,) = torch.autograd.grad((frames * weight).sum(), vertices)
    told = runner.case.config["gradient_norms"][dataset]["shading_differentiated"]
    assert abs(gradient.norm() / told - 1) < 1e-3, f"the gradient's norm is {gradient.norm():.6g}, not {told}"
    return gradient / gradient.norm()


@guidance("(geometry|lip)_loss|(total)")
def _loss(runner: GuidanceRunner, name: str | None, total: str | None) -> np.ndarray:
    ours = {"geometry": "position", "lip": "lip", "total": "loss"}
    return runner.losses[ours[name or total or ""]].detach().numpy()


@guidance("lip_vertices")
def _lips(runner: GuidanceRunner) -> np.ndarray:
    """The list is its owners'; what is ours is to know it by its digest, entries that stand twice and all."""
    given = runner.case.expected["lip_vertices"]
    found = identify(given, runner.case.config["vertices"])
    known = found.match is Match.EXACT and found.set is not None and found.set.id == "flame-masks/lips"
    return given if known else np.zeros(0)
