"""TalkingStyle's style encoder: two tables of subjects, joined by an attention in which nothing can be chosen.

Each of a style's d numbers is a token of its own: a query of four channels from the first table's number, one key and
one value from the second's. With one key the softmax is 1 whatever query and key say, so that their projections `Wq`
and `Wk` do nothing; they are kept because released files hold them. What remains is, for subject k and channel f,

    style[k, f] = relu(A[f, k] + head(norm(attended(W_v · B[k, f]))))

with `attended` the attention's projections of value and output. All styles are at least 0.

Shapes: B rows of styles, K training subjects, d channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.attention import AlignedCrossAttention
from models.newcomer import with_newcomer

CHANNELS = HEADS = 4
"""Of a token: every head sees one channel."""
OPEN = 1e-6
"""What a newcomer's closed channels begin with: of what relu gives for 0, none could learn."""


class TokenAttention(nn.Module):
    """What the second table says to each number of the first. Names are the released ones."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.attention = AlignedCrossAttention(CHANNELS, HEADS, dropout, per_frame=1)
        self.Wq = nn.Linear(1, CHANNELS)
        self.Wk = nn.Linear(1, CHANNELS)
        self.Wv = nn.Linear(1, CHANNELS)
        self.norm = nn.LayerNorm(CHANNELS)
        self.head = nn.Linear(CHANNELS, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, numbers: Tensor) -> Tensor:
        """(N, d) → (N, d), each number for itself. Dropout acts on the single attention weight of every head, and on
        the result."""
        attended = self.attention.prepare(self.Wv(numbers[..., None]))(numbers, slice(None))  # (N, d, 4)
        said: Tensor = self.dropout(self.head(self.norm(attended))[..., 0])
        return said


class StyleEncoder(nn.Module):
    """obj_vector: A, my_obj_vector: B."""

    def __init__(self, subjects: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.obj_vector = nn.Linear(subjects, dim, bias=False)
        self.my_obj_vector = nn.Embedding(subjects, dim)
        self.attention = TokenAttention(dropout)

    def forward(self, styles: Tensor) -> Tensor:
        """(B, K) one-hot → the subject's style (B, d).

        A mixture of subjects gives that mixture of their styles, so that it changes evenly from one to another. (The
        released code takes no mixtures: given one, it would mix the first table and ask the second for the largest
        share alone, and jump where another becomes the largest.) In training every row draws a dropout of its own.
        """
        subjects, dim = self.my_obj_vector.weight.shape
        rows = len(styles) if self.training else 1
        numbers = self.my_obj_vector.weight.expand(rows, subjects, dim).flatten(0, 1)
        table = self.table(self.attention(numbers).unflatten(0, (rows, subjects)))  # (rows, K, d)
        shares = styles.to(table.dtype)
        mixed: Tensor = (shares[:, None] @ table)[:, 0] if self.training else shares @ table[0]
        return mixed

    def table(self, said: Tensor) -> Tensor:
        """What the attention says to each subject's numbers (…, K, d) → their styles (…, K, d)."""
        return F.relu(self.obj_vector.weight.T + said)

    @torch.no_grad()
    def add_subject(self, weights: Sequence[float]) -> tuple[nn.Parameter, Tensor]:
        """One subject more, the last, whose style is this mixture (K weights) of the others' styles.

        Its entry of B is that mixture of theirs, and stays; its entry of A is what then lacks. Returns A with the mask
        of that entry, which is what can be fitted: any style can be reached with it. Entries of a mixture below 0,
        which weights below 0 may give, are 0.
        """
        first, second, training = self.obj_vector, self.my_obj_vector, self.training
        self.eval()
        styles = self.table(self.attention(second.weight))
        second.weight, _ = with_newcomer(second.weight, weights, subjects=0)
        first.weight, own = with_newcomer(first.weight, weights, subjects=1)
        wanted = styles.new_tensor(list(weights)) @ styles
        first.weight[:, -1] = wanted.clamp(min=OPEN) - self.attention(second.weight)[-1]
        second.num_embeddings += 1
        first.in_features += 1
        self.train(training)
        return first.weight, own
