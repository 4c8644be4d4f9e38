"""How English words are said: phonemes from a pronouncing dictionary, or guessed from letters.

The dictionary is the user's, in the format of CMUdict (the Carnegie Mellon Pronouncing Dictionary): a word, blanks, its
phonemes in ARPAbet, with or without stress; `;;;` begins a comment, `WORD(1)` is another way to say a word.
The guess is a short list of spelling rules of our own. It is wrong for many a word (English spelling is), but wrong in
the same way for both texts that are compared. A dictionary is better.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from faces.errors import DataError, said
from faces.texts import read_text

_VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
_STOPS = ("B", "CH", "D", "G", "JH", "K", "M", "N", "NG", "P", "T")
_OTHERS = ("DH", "F", "HH", "L", "R", "S", "SH", "TH", "V", "W", "Y", "Z", "ZH")
PHONEMES = frozenset((*_VOWELS, *_STOPS, *_OTHERS))
"""ARPAbet, as CMUdict has it."""
_RULES = r"""
# whole words and their beginnings
^are$ AA R        ^were$ W ER       ^you(?!n|r) Y UW   ^who HH UW        ^a$ AH           ^they$ DH EY
^kn N             ^wr R             ^y Y              ^th(?=e|is|at|os|us$) DH
# endings
tion SH AH N      sion ZH AH N      ture$ CH ER       mb$ M             (?<=[^aeiou])ll?e$ AH L
are(?=[ds]?$) EH R                  ere(?=[ds]?$) IH R                  ear$ IH R
ire(?=[ds]?$) AY ER                 ore(?=[ds]?$) AO R                  ure(?=[ds]?$) Y UH R
(?<=[td])ed$ IH D                   (?<=..)ed$ D
(?<=[aeiouy])e$ -                   (?<=[aeiouy][^aeiou])e$ -           (?<=[aeiouy][^aeiou][^aeiou])e$ -
(?<=^[^aeiou])y$ AY                 (?<=^[^aeiou][^aeiou])y$ AY         (?<=..)e?y$ IY
i$ AY             o$ OW             e$ IY
# several letters
ough(?=t) AO      ough OW           augh AO           eigh EY           igh AY           tch CH
dge JH            sch S K           qu K W            ch CH             sh SH            th(?=er) DH
th TH             ph F              wh W              gh G              ck K             nk NG K
ng NG             rh R              air EH R          eer IH R          our AO R         oor AO R
ee|ea|ie IY       oo UW             ou AW             ow(?=n) AW        ow|oa OW         oi|oy OY
ai|ay|ey EY       au|aw AO          ew|ue|ui UW       ar(?!r) AA R      er|ir|ur ER      or AO R
# vowels, long before a consonant and a last e
a(?=[^aeiouwxy]e$) EY               e(?=[^aeiouwxy]e$) IY               i(?=[^aeiouwxy]e$) AY
o(?=[^aeiouwxy]e$) OW               u(?=[^aeiouwxy]e$) UW
a AE              e EH              i|y IH            o AA              u AH
# consonants
cc(?=[eiy]) K S   c(?=[eiy]) S      g(?=[ey]) JH      bb? B             cc? K            dd? D
ff? F             gg? G             h HH              j JH              kk? K            ll? L
mm? M             nn? N             pp? P             q K               rr? R            ss? S
tt? T             vv? V             w(?=[aeiouy]) W   w -               x K S            zz? Z
"""
"""Letters, a blank, phonemes; of those that fit where a word has been read to, the first counts."""
_COMPILED = tuple(
    (re.compile(rule.split()[0]), tuple(one for one in rule.split()[1:] if one != "-"))
    for line in _RULES.splitlines()
    if line and not line.startswith("#")
    for rule in re.split(r"  +", line)
)
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*")

Dictionary = Mapping[str, tuple[str, ...]]


def words_of(text: str) -> list[str]:
    """Words in small letters, with the apostrophes inside them; what is no English letter parts words."""
    return _WORD.findall(text.replace("’", "'").lower())


def read_dictionary(file: Path) -> dict[str, tuple[str, ...]]:
    """Word → phonemes without stress, of the first way that a dictionary lists. DataError where it is none."""
    try:
        lines = read_text(file, encoding="latin-1").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read as a pronouncing dictionary: {said(error)}") from error
    found: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(lines, 1):
        if line.startswith(";;;") or not (parts := line.partition("#")[0].split()):
            continue
        word, *phonemes = parts
        bare = tuple(phoneme.rstrip("012") for phoneme in phonemes)
        if not bare or not PHONEMES.issuperset(bare):
            raise DataError(f"{file}, line {number}: {line[:60]!r} is no word with its phonemes, as CMUdict has them")
        found.setdefault(re.sub(r"\(\w+\)$", "", word).lower(), bare)
    if not found:
        raise DataError(f"{file} holds no word: give a pronouncing dictionary in the format of CMUdict")
    return found


def guessed(word: str) -> tuple[str, ...]:
    """Phonemes of a word in small letters, from its spelling."""
    letters, at = word.replace("'", ""), 0
    found: list[str] = []
    while at < len(letters):
        end, phonemes = next((m.end(), p) for rule, p in _COMPILED if (m := rule.match(letters, at)))
        found += phonemes
        at = end
    return tuple(found)


def phonemes_of(text: str, dictionary: Dictionary | None = None) -> list[str]:
    """A text's phonemes, word after word; guessed for words that the dictionary lacks."""
    known = dictionary or {}
    return [phoneme for word in words_of(text) for phoneme in known.get(word) or guessed(word)]
