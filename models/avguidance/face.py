"""Audio-visual guidance (Interspeech 2024, arXiv 2407.01034): FaceFormer, trained so that an expert can read its lips.

The face is FaceFormer, unchanged: its layers, its released names, its inference. In training, three losses: of all
vertices, of the lips once more, and of a lip-reading expert that watches the mouth and hears the sound (`critic`),

    loss = position + w_lip · lip + w_av · (0.1 · ctc + 0.9 · attention).

Positions are counted in the network's unit squared, the expert's loss in nats a clip. As published, motion is the
network's own from frame to frame. The expert is no part of the face: frozen, it is nowhere among its weights; learning,
it is trained with the same optimiser, and stored beside the face.

Shapes: B clips, T frames, D = 3 V coordinates, d decoder channels.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from faces.errors import DataError
from models.autoregressive import Score, owners
from models.avguidance.critic import Critic
from models.avguidance.settings import FINETUNE, RESAMPLED, Settings
from models.faceformer.face import FaceFormer
from models.lipreader.learning import LearningLipReader
from models.listening import Lesson
from models.mouth import Mouth
from models.projected_error import Affine, projected_error
from models.sight import Sight
from models.talking_face import Clips, DataFacts

LOSSES = ("position", "lip", "guidance")


class GuidedFaceFormer(FaceFormer):
    """The network; see `models.talking_face` for what every method is for. It is trained once it was told its expert
    and what that looks at (`watch`)."""

    name: ClassVar[str] = "avguidance"
    beside: ClassVar[str] = "expert."
    """How the weights begin that are stored beside its own."""
    settings: Settings
    lip_rows: Tensor
    """(3 n,): coordinates of the lips, repeats kept."""

    def __init__(self, settings: Settings, facts: DataFacts) -> None:
        super().__init__(settings, facts)
        lips = torch.tensor(list(facts.regions.get(settings.lips, ())), dtype=torch.int64)
        if len(lips) and int(lips.max()) >= facts.vertices:
            raise DataError(
                f"region {settings.lips!r} names vertex {int(lips.max())} of {facts.vertices}; give the region of this "
                "topology"
            )
        self.register_buffer("lip_rows", (3 * lips[:, None] + torch.arange(3)).flatten(), persistent=False)
        self._mouth: Mouth | None = None
        self._critic: Critic | None = None

    def watch(self, sight: Sight, expert: LearningLipReader | None = None) -> None:
        """From now on this expert looks at the network's mouth. One that learns becomes part of it, as `expert`.
        Without one, as without guidance, the mouth is there for `mouths` alone."""
        told = self.settings
        trained_with = expert.settings.pixel_std if expert is not None else 1.0  # `mouths` takes it out again
        self._mouth = Mouth.of(
            sight, told.camera, told.pixel_std or trained_with, resampled=told.timing == RESAMPLED,
            shading_gradient=told.shading_gradient,
        )  # fmt: skip
        if expert is None:
            return
        self._critic = Critic(expert, self._mouth, told)
        if told.expert == FINETUNE:
            self.expert = expert.requires_grad_()

    # -- training --------------------------------------------------------------------------------------------------

    def scoring(self) -> Score:
        """ "position", the mean squared error of all coordinates, and "lip", that of the lips; "loss", both by their
        weights. In the network's unit squared. Without lips, as of a released file, position alone."""
        weight, rows = self.settings.lip_weight, self.lip_rows
        if not len(rows):
            return super().scoring()
        lips = Affine(self.outward.weight[rows], self.outward.bias[rows])

        def score(hidden: Tensor, truth: Tensor) -> dict[str, Tensor]:
            whole = projected_error(hidden, self.outward, truth)
            part = projected_error(hidden, lips, truth[:, rows])
            return {"loss": whole + weight * part, "position": whole, "lip": part}

        return score

    def losses(self, clips: Clips) -> dict[str, Tensor]:
        """ "position", "lip", "ctc" and "attention", and "guidance", both of these; "loss", all by their weights. Means
        over clips."""
        lesson = self.hear(clips)
        return self._guided(self._decoded(lesson, clips.template, self.style(clips.style), False), lesson, clips)

    def validation_losses(self, clips: Clips) -> dict[str, Tensor]:
        """The same, as the paper's validation adds all three."""
        return self.losses(clips)

    def _guided(self, decoded: Tensor, lesson: Lesson, clips: Clips) -> dict[str, Tensor]:
        found = self.scored(decoded, lesson, clips)
        if not self.settings.guidance_weight:
            return found
        rows = [
            self._judged(hidden[: lesson.frames[clip]], clip, clips)
            for hidden, clip in zip(decoded, owners(decoded, lesson), strict=True)
        ]
        said = {name: torch.stack([one[name] for one in rows]).mean() for name in rows[0]}
        guidance = said.pop("loss")
        return found | said | {
            "loss": found["loss"] + self.settings.guidance_weight * guidance, "guidance": guidance,
        }  # fmt: skip

    def _judged(self, hidden: Tensor, clip: int, clips: Clips) -> dict[str, Tensor]:
        if self._critic is None:
            raise ValueError("a guided face learns once it was told its expert and what that looks at")
        if clips.sound is None or clips.sound_lengths is None or clips.text is None or clips.text_lengths is None:
            raise ValueError("guidance needs clips with sound and text")
        wave = clips.sound[clip, : int(clips.sound_lengths[clip])]
        text = clips.text[clip, : int(clips.text_lengths[clip])].tolist()
        motion = self.to_vertices(hidden, clips.template[clip])
        return self._critic.losses(motion, wave, text, training=self.training)

    # -- inspection ------------------------------------------------------------------------------------------------

    def gradient_norms(self, clips: Clips) -> dict[str, float]:
        """Of each loss, weighted: the norm of the gradient that it leaves in the face's own weights. In the mode that
        the network is in; no weight's own gradient changes."""
        own = [p for name, p in self.named_parameters() if p.requires_grad and not name.startswith(self.beside)]
        weights = {"position": 1.0, "lip": self.settings.lip_weight, "guidance": self.settings.guidance_weight}
        with torch.enable_grad():
            losses = self.losses(clips)
            found = {}
            for name in LOSSES:
                if name in losses:
                    found[name] = _norm(torch.autograd.grad(losses[name], own, retain_graph=True, allow_unused=True))
        return {name: weights[name] * norm for name, norm in found.items()}

    @torch.no_grad()
    def mouths(self, clips: Clips) -> Tensor:
        """One clip in one style: grey pictures (T', 88, 176) in 0 … 1, the network's mouth on the left, the true one on
        the right."""
        if self._mouth is None:
            raise ValueError("a guided face shows its mouth once it was told what its expert looks at")
        lesson = self.hear(clips)
        frames, template = lesson.frames[0], clips.template[0]
        made = self.to_vertices(self.decode_own(lesson.memory, self.style(clips.style[:1]))[0, :frames], template)
        camera = self._mouth.renderer.camera
        both = [self._mouth.pictures(motion)[:, 0] for motion in (made, lesson.vertices[0, :frames])]
        return (torch.cat(both, dim=2) * camera.std + camera.mean).clamp(0, 1)


def _norm(gradients: tuple[Tensor | None, ...]) -> float:
    squares = [gradient.float().square().sum() for gradient in gradients if gradient is not None]
    return float(torch.stack(squares).sum().sqrt()) if squares else 0.0
