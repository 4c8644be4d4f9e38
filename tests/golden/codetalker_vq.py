"""Runner of the cases of CodeTalker's first stage, of any size."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.codetalker_vq.autoencoder import MotionAutoencoder
from models.codetalker_vq.settings import Settings
from models.talking_face import Clips, DataFacts
from tests.golden.case import Case, NoNetwork, UnknownOutput, reason
from tests.golden.patterns import Patterns

Shapes = Mapping[str, tuple[int, ...]]

output = Patterns()


class CodeTalkerVqRunner:
    """Computes any output of a case. Everything expensive is computed once, and only when asked for."""

    def __init__(self, case: Case) -> None:
        self.case = case

    def output(self, name: str) -> np.ndarray:
        return output.compute(self, name)

    @property
    def network(self) -> MotionAutoencoder:
        if isinstance(self._built, NoNetwork):
            raise self._built
        return self._built

    @cached_property
    def _built(self) -> MotionAutoencoder | NoNetwork:
        """The network, or why there is none: found out once, since every output would try again."""
        if not self.case.facts.shapes:
            return NoNetwork("there is no network: the case has no state")
        try:
            return build_network(self.case)
        except Exception as error:
            return NoNetwork(f"the network cannot be built: {reason(error)}")

    @cached_property
    def template(self) -> Tensor:
        """(1, D), stored flat or by vertices, with or without the clip's axis."""
        return torch.from_numpy(self.case.input("template")).float().reshape(1, -1)

    @cached_property
    def vertices(self) -> Tensor:
        """(1, T, D), stored flat or by vertices, with or without the clip's axis."""
        return torch.from_numpy(self.case.input("vertice")).float().reshape(1, -1, self.template.shape[1])

    @cached_property
    @torch.no_grad()
    def features(self) -> Tensor:
        return self.network.features(self.network.offsets_of(self.vertices, self.template))

    @cached_property
    @torch.no_grad()
    def quantised(self) -> tuple[Tensor, Tensor]:
        """Straight-through values (1, T, Q·Z) and indices (1, T, Q)."""
        return self.network.quantise(self.features)

    @torch.no_grad()
    def offsets(self, quantised: Tensor) -> Tensor:
        return self.network.decode_features(quantised)

    @cached_property
    def losses(self) -> dict[str, Tensor]:
        """Every loss, with its graph."""
        silence, nobody = torch.zeros(1, 0, 0), torch.zeros(1, 0)
        lengths = torch.tensor([self.vertices.shape[1]])
        clips = Clips(silence, torch.zeros(1), self.template, nobody, self.vertices, lengths)
        return self.network.losses(clips)

    @cached_property
    def gradients(self) -> dict[str, np.ndarray]:
        """Parameter name → gradient of the loss; zeros for what it does not reach."""
        self.network.zero_grad()
        torch.autograd.backward(self.losses["loss"])
        return {
            name: (torch.zeros_like(p) if p.grad is None else p.grad).numpy()
            for name, p in self.network.named_parameters()
        }


def build_network(case: Case) -> MotionAutoencoder:
    """The network of a case with its weights, for evaluation."""
    state = {name.removeprefix("module."): torch.from_numpy(array) for name, array in case.state().items()}
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    facts = DataFacts(shapes["encoder.vertice_mapping.0.weight"][1] // 3, 0.0, (), channels=0, encoder="")
    network = MotionAutoencoder.build(settings_of(case.config, shapes), facts).eval()
    network.load_official(state)
    return network


def settings_of(config: Mapping[str, Any], shapes: Shapes) -> Settings:
    """What the shapes say, and what only the configuration knows. Its absent values are the published ones."""
    codes, width = shapes["quantize.embedding.weight"]
    around = "decoder.decoder_linear_embedding_pre.net.weight"
    hidden = shapes["encoder.vertice_mapping.0.weight"][0]
    layers = [name for name in shapes if name.startswith("decoder.") and name.endswith("to_qkv.weight")]
    return Settings(
        hidden_size=hidden,
        layers=len(layers),
        heads=config.get("num_attention_heads", 8),
        feedforward=shapes["decoder.decoder_transformer.net.1.fn.fn.l1.weight"][0],
        tokens=config.get("face_quan_num", shapes.get(around, (0, hidden))[1] // width),
        token_width=width,
        codes=codes,
        linear_around_codes=around in shapes,
        output_bias="decoder.vertice_map_reverse.bias" in shapes,
        negative_slope=config.get("neg", 0.2),
        quantiser_weight=config.get("quant_loss_weight", 1.0),
        beta=config.get("beta", 0.25),
        quant_factor=config.get("quant_factor", 0),
    )


@output(r"features")
def _features(run: CodeTalkerVqRunner) -> Tensor:
    return run.features


@output(r"indices")
def _indices(run: CodeTalkerVqRunner) -> Tensor:
    return run.quantised[1]


@output(r"quantised")
def _quantised(run: CodeTalkerVqRunner) -> Tensor:
    """Channels first, as the released quantiser returns it: (1, Z, T·Q)."""
    return run.quantised[0].reshape(1, -1, run.network.settings.token_width).transpose(1, 2)


@output(r"vertices")
def _vertices(run: CodeTalkerVqRunner) -> Tensor:
    return run.offsets(run.quantised[0]) + run.template[:, None]


@output(r"offsets_from_indices")
@torch.no_grad()
def _offsets_from_indices(run: CodeTalkerVqRunner) -> Tensor:
    return run.offsets(run.network.lookup(run.quantised[1]))


@output(r"offsets_first_frame_doubled")
def _offsets_first_frame_doubled(run: CodeTalkerVqRunner) -> Tensor:
    return run.offsets(run.quantised[0][:, [0, 0]])


@output(r"(rec_|quant_)?loss")
def _loss(run: CodeTalkerVqRunner, part: str | None) -> float:
    names = {None: "loss", "rec_": "reconstruction", "quant_": "quantiser"}
    return run.losses[names[part]].item()


@output(r"perplexity")
def _perplexity(run: CodeTalkerVqRunner) -> float:
    return run.losses["perplexity"].item()


@output(r"grad/(.+)")
def _gradient(run: CodeTalkerVqRunner, parameter: str) -> np.ndarray:
    if parameter not in run.gradients:
        raise UnknownOutput("the network has no such parameter")
    return run.gradients[parameter]
