"""Autoregression through the biased decoder with every constant multiplied out beforehand: the fast form for eval mode.

The same function as `BiasedDecoder.begin` and its steps, to rounding. One clip of a talking face is hundreds of steps
of a few thousand multiplications each, so what counts is how many tensor operations a step issues: biases are folded
into neighbours, the token is never formed apart from its projections, and keys and values are written in place.
Only for no-gradient, no-dropout use. Shapes: B tokens at once (clips or styles), M = B or 1 memories, T frames,
d channels, H heads, e = d/H.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.nn.functional import linear

from models.attention import AlignedCrossAttention, PackedAttention
from models.decoder import BiasedDecoder, DecoderLayer
from models.positions import period_penalty


def decode_folded(decoder: BiasedDecoder, memory: Tensor, fold: Tensor, given: Tensor) -> Tensor:
    """Outputs h_i (B, T, d) of a decoder whose token i is fold·h_(i−1) + given_i, with h_(−1) = 0.

    memory: (M, S, d). fold: (d, d). given: (B, T, d). Runs in the weights' precision, whatever autocast says.
    """
    batch, frames, dim = given.shape
    with torch.inference_mode(), precise(given.device):
        penalty = period_penalty(frames, decoder.heads, decoder.period, given.device).to(fold.dtype)
        reversed_penalty = penalty.flip(1)[:, None].repeat(batch, 1, 1)  # (B·H, 1, T): frame i's is its last i + 1
        same = torch.eye(dim, device=given.device, dtype=fold.dtype)
        stack = [
            _Layer(layer, memory.to(fold.dtype), reversed_penalty, fold if first else same, given if first else None)
            for layer, first in zip(decoder.layers, [True, *[False] * len(decoder.layers)], strict=False)
        ]
        x = given.new_zeros(batch, dim)
        outputs = []
        for i in range(frames):
            for layer in stack:
                x = layer.step(i, x)
            outputs.append(x)
    return torch.stack(outputs, dim=1)


def precise(device: torch.device) -> AbstractContextManager[object]:
    """A block that autocast leaves alone: products of weights, and sums too long for half precision."""
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


class _Layer:
    """One decoder layer for one run. `incoming` maps its input to the token, to which `given` (B, T, d) is added."""

    def __init__(
        self, layer: DecoderLayer, memory: Tensor, penalty: Tensor, incoming: Tensor, given: Tensor | None
    ) -> None:
        attention, self.frames = layer.self_attn, penalty.shape[-1]
        self.heads, self.dim, self.batch = attention.heads, incoming.shape[0], penalty.shape[0] // attention.heads
        self.width = self.dim // self.heads
        self.penalty = penalty
        self._pack(attention, incoming, given)
        room = incoming.new_empty(2, self.batch, self.heads, self.frames, self.width)
        self.rooms = room.unbind(3)
        keys, self.values = room.flatten(1, 2)  # (B·H, T, e) each
        self.keys = keys.transpose(1, 2)
        self.out = attention.out_proj.weight.T.contiguous()
        self.cross = _OwnStep(layer.multihead_attn, memory) if layer.multihead_attn.per_frame == 1 else None
        self.pair = None if self.cross else _OwnPair(layer.multihead_attn, memory)
        self.scales = (layer.norm1.weight, layer.norm2.weight, layer.norm3.weight)
        # linear2's bias is added with norm2's, and what linear1 then sees too much is taken off its own bias.
        late = layer.linear2.bias
        own = self.pair.late if self.pair else 0.0
        self.shifts = (layer.norm1.bias + own, layer.norm2.bias + late, layer.norm3.bias)
        self.wide, self.wide_bias = (
            layer.linear1.weight.T.contiguous(),
            layer.linear1.bias - layer.linear1.weight @ late,
        )
        self.narrow = layer.linear2.weight.T.contiguous()

    def _pack(self, attention: PackedAttention, incoming: Tensor, given: Tensor | None) -> None:
        """One matrix from the input to (token, query, key, value), and what is added to that in each frame."""
        weight, bias = attention.in_proj_weight.clone(), attention.in_proj_bias.clone()
        weight[: self.dim] *= self.width**-0.5
        bias[: self.dim] *= self.width**-0.5
        same = torch.eye(self.dim, device=weight.device, dtype=weight.dtype)
        into = torch.cat((same, weight))  # (4d, d)
        self.packed = (into @ incoming).T.contiguous()
        constant = torch.cat((attention.out_proj.bias, bias))
        added = constant.expand(1, self.frames, -1) if given is None else linear(given.to(into.dtype), into, constant)
        self.added = added.unbind(1)
        # The product lands in the same place every time, so that its parts are cut out once and not per frame.
        self.product = into.new_empty(self.batch, 4 * self.dim)
        self.token, self.query, keys_values = torch.split(self.product, [self.dim, self.dim, 2 * self.dim], dim=1)
        self.keys_values = keys_values.view(self.batch, 2, self.heads, self.width).transpose(0, 1)

    def step(self, i: int, x: Tensor) -> Tensor:
        """(B, d) → (B, d) for frame i."""
        size, (scale1, scale2, scale3), (shift1, shift2, shift3) = (self.dim,), self.scales, self.shifts
        torch.addmm(self.added[i], x, self.packed, out=self.product)
        self.rooms[i].copy_(self.keys_values)
        keys, values = self.keys.narrow(2, 0, i + 1), self.values.narrow(1, 0, i + 1)
        penalty = self.penalty.narrow(2, self.frames - 1 - i, i + 1)
        scores = torch.baddbmm(penalty, self.query.reshape(-1, 1, self.width), keys)
        attended = torch.bmm(scores.softmax(-1), values).view(self.batch, self.dim)
        z1 = torch.layer_norm(torch.addmm(self.token, attended, self.out), size, scale1, shift1)
        crossed = self.cross.add(i, z1) if self.cross else self.pair.add(i, z1)  # type: ignore[union-attr]
        z2 = torch.layer_norm(crossed, size, scale2, shift2)
        widened = torch.addmm(self.wide_bias, z2, self.wide).relu_()
        return torch.layer_norm(torch.addmm(z2, widened, self.narrow), size, scale3, shift3)


class _OwnStep:
    """Cross-attention to one step: a constant per frame."""

    def __init__(self, attention: AlignedCrossAttention, memory: Tensor) -> None:
        self.seen = attention.merge(attention.project(memory, 2, 3)[0]).unbind(1)  # T of (M, d)

    def add(self, i: int, z1: Tensor) -> Tensor:
        return z1 + self.seen[i]


class _OwnPair:
    """Cross-attention to two steps: a sigmoid per head. Its output bias comes in with z1 (`late`)."""

    def __init__(self, attention: AlignedCrossAttention, memory: Tensor) -> None:
        dim = memory.shape[2]
        keys, values = attention.project_pairs(memory)  # (M, H, T, 2, e) each
        self.late = attention.out_proj.bias
        weight, bias = attention.in_proj_weight[:dim], attention.in_proj_bias[:dim]
        self.query, self.query_bias = weight.T.contiguous(), bias - weight @ self.late
        self.shape = (-1, keys.shape[1], keys.shape[-1])
        self.key_differences = ((keys[..., 0, :] - keys[..., 1, :]) * keys.shape[-1] ** -0.5).unbind(2)
        self.second = values[..., 1, :].unbind(2)
        self.value_differences = (values[..., 0, :] - values[..., 1, :]).unbind(2)
        self.out = attention.out_proj.weight.T.contiguous()

    def add(self, i: int, z1: Tensor) -> Tensor:
        query = torch.addmm(self.query_bias, z1, self.query).view(self.shape)
        first = (query * self.key_differences[i]).sum(-1, keepdim=True).sigmoid_()
        attended = torch.addcmul(self.second[i], first, self.value_differences[i])
        return torch.addmm(z1, attended.view_as(z1), self.out)
