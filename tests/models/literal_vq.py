"""CodeTalker's first stage once more, written down as its formulas stand, to hold ours against."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from models.codetalker_vq.autoencoder import MotionAutoencoder


class Literal:
    """One clip through the released layers as the paper's code evaluates them, from a state dict of plain names."""

    def __init__(self, network: MotionAutoencoder) -> None:
        self.state, self.settings = network.state_dict(), network.settings

    def linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.state[f"{name}.weight"], self.state.get(f"{name}.bias"))

    def convolution(self, x: Tensor, name: str) -> Tensor:
        """(T, h)"""
        padded = torch.cat((x[:1], x[:1], x, x[-1:], x[-1:]))
        weight, bias = self.state[f"{name}.weight"], self.state[f"{name}.bias"]
        frames = [torch.einsum("ock,kc->o", weight, padded[t : t + 5]) + bias for t in range(len(x))]
        y = torch.stack(frames)
        y = torch.where(y > 0, y, self.settings.negative_slope * y)
        return (y - y.mean(0)) / (y.var(0, unbiased=False) + 1e-5).sqrt()

    def transformer(self, x: Tensor, name: str) -> Tensor:
        h, heads = x.shape[1], self.settings.heads
        x = x + torch.tensor([0.0, 1.0]).repeat(h // 2)
        for i in range(self.settings.layers):
            for number, part in ((2 * i, self.attention), (2 * i + 1, self.mlp)):
                prefix = f"{name}.net.{number}.fn"
                scale, shift = self.state[f"{prefix}.norm.weight"], self.state[f"{prefix}.norm.bias"]
                x = x + part(F.layer_norm(x, (h,), scale, shift, eps=1e-5), f"{prefix}.fn", heads)
        return x

    def attention(self, x: Tensor, name: str, heads: int) -> Tensor:
        h = x.shape[1]
        q, k, v = self.linear(x, f"{name}.to_qkv").split(h, dim=1)
        outputs = []
        for head in torch.arange(h).chunk(heads):
            scores = q[:, head] @ k[:, head].T * h**-0.5
            outputs.append(scores.softmax(1) @ v[:, head])
        return self.linear(torch.cat(outputs, dim=1), f"{name}.to_out")

    def mlp(self, x: Tensor, name: str, heads: int) -> Tensor:
        x = self.linear(x, f"{name}.l1")
        x = 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
        return self.linear(x, f"{name}.l2")

    def encode(self, offsets: Tensor) -> Tensor:
        x = self.linear(offsets, "encoder.vertice_mapping.0")
        x = torch.where(x > 0, x, self.settings.negative_slope * x)
        x = self.linear(self.convolution(x, "encoder.squasher.0.0"), "encoder.encoder_linear_embedding.net")
        x = self.transformer(x, "encoder.encoder_transformer")
        return self.linear(x, "encoder.encoder_linear_embedding_post.net") if self.settings.linear_around_codes else x

    def decode(self, x: Tensor) -> Tensor:
        if self.settings.linear_around_codes:
            x = self.linear(x, "decoder.decoder_linear_embedding_pre.net")
        x = self.linear(self.convolution(x, "decoder.expander.0.0"), "decoder.decoder_linear_embedding.net")
        return self.linear(self.transformer(x, "decoder.decoder_transformer"), "decoder.vertice_map_reverse")
