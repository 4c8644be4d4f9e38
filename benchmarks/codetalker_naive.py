"""CodeTalker's inference as the paper's formulas suggest it, with nothing of how `models/codetalker*` computes it.

Every step runs the decoder on all tokens (and the keys and values of the whole memory), quantises all of them, runs the
motion prior on the whole prefix and forms all its vertices; at the end everything is decoded once more. The yardstick
of the benchmark, and what the tests compare with. One clip, one style.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.codetalker.face import CodeTalker
from models.positions import alignment_mask, periodic_encoding, temporal_bias


class NaivePrior:
    """Codebook and decoder of the motion prior, from its weights by their published names."""

    def __init__(self, weights: dict[str, Tensor], heads: int, slope: float, tokens: int) -> None:
        self.weights = weights
        self.heads = heads
        self.slope = slope
        self.tokens = tokens
        parts = [name.split(".")[3] for name in weights if name.startswith("decoder.decoder_transformer.net.")]
        self.layers = (1 + max(int(part) for part in parts)) // 2

    def quantise(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(1, T, Q·Z) → the straight-through codes (1, T, Q·Z) and their numbers (T, Q)."""
        book = self.weights["quantize.embedding.weight"]
        z = features.reshape(-1, book.shape[1])
        distances = (z**2).sum(1, keepdim=True) + (book**2).sum(1) - 2 * z @ book.T
        numbers = distances.argmin(1)
        q = F.one_hot(numbers, len(book)).to(z.dtype) @ book
        return (z + (q - z)).view_as(features), numbers.view(-1, self.tokens)

    def decode(self, quantised: Tensor) -> Tensor:
        """(1, T, Q·Z) → offsets (1, T, D)."""
        x = quantised
        if "decoder.decoder_linear_embedding_pre.net.weight" in self.weights:
            x = self._linear("decoder.decoder_linear_embedding_pre.net", x)
        padded = F.pad(x.transpose(1, 2), (2, 2), mode="replicate")
        kernel = "decoder.expander.0.0."
        x = F.conv1d(padded, self.weights[f"{kernel}weight"], self.weights[f"{kernel}bias"])
        x = F.instance_norm(F.leaky_relu(x, self.slope), eps=1e-5).transpose(1, 2)
        x = self._linear("decoder.decoder_linear_embedding.net", x)
        x = x + torch.tensor([0.0, 1.0]).repeat(x.shape[-1] // 2)
        for i in range(self.layers):
            x = x + self._attend(f"decoder.decoder_transformer.net.{2 * i}.fn", x)
            x = x + self._widen(f"decoder.decoder_transformer.net.{2 * i + 1}.fn", x)
        return self._linear("decoder.vertice_map_reverse", x)

    def _attend(self, name: str, x: Tensor) -> Tensor:
        q, k, v = self._linear(f"{name}.fn.to_qkv", self._norm(name, x)).chunk(3, dim=-1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (q, k, v))
        scores = q @ k.transpose(-1, -2) * x.shape[-1] ** -0.5
        return self._linear(f"{name}.fn.to_out", (scores.softmax(-1) @ v).transpose(1, 2).flatten(2))

    def _widen(self, name: str, x: Tensor) -> Tensor:
        wide = self._linear(f"{name}.fn.l1", self._norm(name, x))
        gelu = 0.5 * wide * (1 + torch.tanh(math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3)))
        return self._linear(f"{name}.fn.l2", gelu)

    def _norm(self, name: str, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.weights[f"{name}.norm.weight"], self.weights[f"{name}.norm.bias"])

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias"))


class Naive:
    """The autoregression without a single simplification, from the library's own decoder."""

    def __init__(self, network: CodeTalker) -> None:
        settings, prior = network.settings, network.autoencoder.settings
        self.network = network
        self.prior = NaivePrior(dict(network.autoencoder.state_dict()), prior.heads, prior.negative_slope, prior.tokens)
        first = network.transformer_decoder.layers[0]
        layer = nn.TransformerDecoderLayer(
            settings.feature_dim, settings.heads, first.linear1.out_features, dropout=0.0, batch_first=True
        )
        with torch.device("meta"):
            self.decoder = nn.TransformerDecoder(layer, num_layers=settings.layers).eval()
        # The very weights, not copies: at official size they are hundreds of megabytes.
        self.decoder.load_state_dict(network.transformer_decoder.state_dict(), assign=True)

    def __call__(self, memory: Tensor, style: Tensor, template: Tensor) -> tuple[Tensor, Tensor]:
        """(1, S, d), (1, d), (D,) → positions (1, T, D) and codes (T, Q)."""
        network, settings, prior = self.network, self.network.settings, self.prior
        frames = memory.shape[1] // network.per_frame
        bias = temporal_bias(frames, settings.heads, settings.period)
        hidden_from = alignment_mask(frames, memory.shape[1], network.per_frame)
        positions = periodic_encoding(frames, settings.feature_dim, settings.period)
        tokens = style[:, None]
        for i in range(1, frames + 1):
            decoded = self.decoder(
                tokens + positions[:i], memory, tgt_mask=bias[:, :i, :i], memory_mask=hidden_from[:i]
            )
            quantised, codes = prior.quantise(network.feat_map(decoded))
            # Instance norm refuses a single frame: the first one stands twice.
            offsets = (
                prior.decode(torch.cat((quantised, quantised), dim=1))[:, :1] if i == 1 else prior.decode(quantised)
            )
            fed_back = network.vertice_map(offsets[:, -1:]) + style[:, None]
            tokens = torch.cat((tokens, fed_back), dim=1)
        return prior.decode(quantised) * network.autoencoder.settings.motion_scale + template, codes
