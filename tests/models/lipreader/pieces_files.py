"""A small SentencePiece model of our own."""

from __future__ import annotations

from pathlib import Path

import sentencepiece

SENTENCES = """THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG
I DON'T KNOW WHAT THE FOX SAID
THE DOG AND THE FOX DON'T JUMP
PACK MY BOX WITH FIVE DOZEN JUGS
WE'LL SEE WHO IS QUICK"""


def make_pieces(folder: Path) -> tuple[Path, Path]:
    """A model of 44 pieces, and units in another order than its numbers, one of its pieces left out."""
    (folder / "text.txt").write_text("\n".join([SENTENCES] * 4))
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "text.txt"), model_prefix=str(folder / "own"), vocab_size=44, model_type="unigram",
        minloglevel=2,
    )  # fmt: skip
    processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / "own.model"))
    pieces = [processor.id_to_piece(i) for i in range(3, processor.get_piece_size())]
    units = ["<unk>", *sorted((piece for piece in pieces if piece != "X"), reverse=True)]
    (folder / "own_units.txt").write_text("".join(f"{piece} {i}\n" for i, piece in enumerate(units, 1)))
    return folder / "own.model", folder / "own_units.txt"
