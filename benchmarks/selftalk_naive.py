"""SelfTalk's training as its paper describes it: one clip at a time, and the frozen recogniser listens in every step.

Both speech encoders convolve the sound anew, though they hold the same frozen convolutions, and the recogniser's whole
transformer runs to name features and text that it named in the epoch before. It is in train mode like the rest, so that
what it names is disturbed. All vertices of the motion are kept for the gradient. Adam takes a step after every clip.
Made of `transformers`' own wav2vec 2.0 and of `torch.nn`'s transformers, under the names of the released weights. The
yardstick of `python -m benchmarks.training --model selftalk`, and what a test compares losses and gradients with.
(Peng et al., SelfTalk, ACM MM 2023.)

Shapes: N samples at 16 kHz, L features at 50 Hz, T frames, D = 3 V coordinates, d channels, W and H channels of the
two encoders, n lip vertices.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

from benchmarks.training_naive import Sentence, encoder_config, speech_encoder, transformed
from models.selftalk.settings import Settings
from models.talking_face import DataFacts
from models.text import Vocabulary


class NaiveSelfTalk(nn.Module):
    """The network of the paper. `forward` is the loss of one clip.

    checkpointing: keep no activations of the speech encoder's layers, but compute them again for the gradient, as the
    released configuration asks: results are the same, for less memory and more time.
    """

    lips: Tensor

    def __init__(self, settings: Settings, facts: DataFacts, *, checkpointing: bool = False) -> None:
        super().__init__()
        self.settings = settings
        self.vocabulary = Vocabulary(facts.vocabulary)
        self.per_frame = 2 if settings.alignment == "pairs" else 1
        d, wide, classes = settings.feature_dim, 3 * facts.vertices, len(facts.vocabulary)
        width, region = facts.text_width, list(facts.regions[settings.lips])
        self.audio_encoder = speech_encoder(settings, facts)
        if checkpointing:
            # Releases of `transformers` have called it by either name.
            names = ("activation_checkpointing_enable", "gradient_checkpointing_enable")
            next(getattr(self.audio_encoder, name) for name in names if hasattr(self.audio_encoder, name))()
        config = encoder_config(settings, facts)
        config.pop("model_type", None)
        self.text_encoder = Wav2Vec2ForCTC(Wav2Vec2Config(**config, vocab_size=classes, final_dropout=0.0))
        self.text_encoder.requires_grad_(False)
        self.audio_feature_map = nn.Linear(self.per_frame * self.audio_encoder.config.hidden_size, d)
        layer = nn.TransformerDecoderLayer(d, settings.heads, 2 * d, dropout=settings.dropout, batch_first=True)
        self.transformer_decoder = nn.TransformerDecoder(layer, num_layers=settings.layers)
        self.vertice_map_r = nn.Linear(d, wide)
        self.lip_map = nn.Linear(3 * len(region), width)
        self.transformer = nn.Transformer(
            width, settings.interpreter_heads, settings.interpreter_layers, settings.interpreter_layers,
            settings.interpreter_feedforward, settings.dropout, batch_first=True,
        )  # fmt: skip
        self.lm_head = nn.Linear(width, classes)
        self.register_buffer("lips", torch.tensor(region), persistent=False)

    def forward(self, clip: Sentence) -> Tensor:
        """The weighted sum of position, velocity, latent and text losses."""
        hidden, text = self._recognise(clip.audio)
        features = self.audio_encoder.feature_extractor(clip.audio)  # (1, C, L)
        frames = clip.vertices.shape[1]
        if self.per_frame == 2:
            frames = min(frames, features.shape[2] // 2)
            hidden, text = hidden[:, : 2 * frames], text[: 2 * frames]
        heard = self._listen(features, frames)
        motion = self.vertice_map_r(self.transformer_decoder(heard, heard))  # (1, T, D)
        moved, truth = motion + clip.template[:, None], clip.vertices[:, :frames]
        position = F.mse_loss(moved, truth)
        velocity = F.mse_loss(moved.diff(dim=1), truth.diff(dim=1))
        read = self._interpret(motion, hidden.shape[1])
        latent = F.mse_loss(read, hidden)
        spelt = self._spelling_error(self.lm_head(read), text)
        told = self.settings
        return (
            told.position_weight * position
            + told.velocity_weight * velocity
            + told.latent_weight * latent
            + told.text_weight * spelt
        )

    def _recognise(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """(1, N) → last hidden states (1, L, H) and logits (L, classes)."""
        with torch.no_grad():
            hidden = self.text_encoder.wav2vec2(audio).last_hidden_state
            return hidden, self.text_encoder.lm_head(hidden)[0]

    def _listen(self, features: Tensor, frames: int) -> Tensor:
        """(1, C, L) at 50 Hz → (1, T, d). "pairs": all of it is heard before two features join to a frame."""
        if self.per_frame == 1:
            features = F.interpolate(features, size=frames, mode="linear", align_corners=True)
        states = transformed(self.audio_encoder, features)[:, : self.per_frame * frames]
        heard: Tensor = self.audio_feature_map(states.reshape(1, frames, -1))
        return heard

    def _interpret(self, motion: Tensor, steps: int) -> Tensor:
        """Offsets (1, T, D) → what their lips say (1, L, H)."""
        lips = motion.unflatten(2, (-1, 3))[:, :, self.lips].flatten(2)
        mapped = self.lip_map(lips).transpose(1, 2)
        at_rate = F.interpolate(mapped, size=steps, mode="linear", align_corners=True).transpose(1, 2)
        read: Tensor = self.transformer(at_rate, at_rate)
        return read

    def _spelling_error(self, read: Tensor, heard: Tensor) -> Tensor:
        """CTC loss of logits (1, L, classes) against the text of the recogniser's logits (L, classes)."""
        text = self.vocabulary.classes_of(self.vocabulary.read(heard.cpu().numpy()))
        chances = F.log_softmax(read, dim=-1).transpose(0, 1)
        lengths = torch.tensor([read.shape[1]]), torch.tensor([len(text)])
        error: Tensor = F.ctc_loss(
            chances, torch.tensor([text], dtype=torch.int64, device=read.device), *lengths,
            blank=self.vocabulary.blank, zero_infinity=True,
        )  # fmt: skip
        return error
