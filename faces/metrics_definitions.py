"""What the field's numbers mean, as data: one `Definition` per name "family/variant".

Variants of a family differ in what is squared, over what is averaged and in what happens to unequal lengths, which is
why one model has several "lip vertex errors". A variant is named after the paper whose evaluation it is; "facepipe"
marks ours. The module imports nothing heavy, so that names are checked while a run is planned.

`source` says whose evaluation computes a number so; what only prose or an issue describes says that too.
"""

from __future__ import annotations

from dataclasses import dataclass

FRAMES, SEQUENCES = "frames", "sequences"
LETTERS, WORDS, VISEMES = "letters", "words", "visemes"
"""Over what a mean is taken: all frames of all sequences together, each sequence first, or all letters, words or
visemes of the texts that others are held against."""
TO_TRUTH = "prediction cut to the truth"
TO_SHORTER = "both cut to the shorter"
UNCUT = "uncut predictions of equal length"
WHOLE = "all that is heard, all that is read off the lips"
SPOKEN = "all that is said, all that is read"
WINDOWS = "windows that pictures and sound both have"
POSITIONS = "positions, no template"
TEXTS = "texts, no positions"
PICTURES = "pictures and sound, no positions"
DISPLACEMENTS = "own neutral template subtracted"
COUNTED = "own style, else mean over all styles"
EVERY_STYLE = "every predicted style"
EVERY_SAMPLE = "every sample"
CODES = "numbers of a track, no template"
HEARD, SAID_LETTERS, SAID_WORDS, SAID_VISEMES = "letters_heard", "letters_said", "words_said", "visemes_said"
"""Measures that count letters, words or visemes."""
LIPS, UPPER_FACE, OPENING, LIP_MIDDLE = "lips", "upper_face", "opening", "lip_middle"


@dataclass(frozen=True)
class Definition:
    """One published way to make a number.

    id: "family/variant". formula: of one sequence, in words; the mean follows in `rule`. measure: its name in
    `metrics_measures`. power: of the data's unit of length. role: the region that it looks at, "" for all vertices.
    average: over what. lengths: the rule for unequal lengths. template: the rule for the neutral face. styles: which
    predictions count. per_second: the unit is one of speed. percent: it is one of a hundred. repeats: a vertex that
    stands twice in the region counts twice. threshold: it is of what stays below a length that the user names. tokens:
    of a mean over letters, words or visemes, the measure that counts them. expert: it is of what a lip-reading expert
    read. synchrony: it is of what a network for lips and sound says of pictures. error: less is better, so that the
    best of several samples is the one with the least. gain: it is the one with the most. aliases: other names of the
    very same number.
    """

    id: str
    name: str
    formula: str
    source: str
    measure: str
    average: str
    power: int = 1
    role: str = ""
    lengths: str = TO_SHORTER
    template: str = POSITIONS
    styles: str = COUNTED
    per_second: bool = False
    percent: bool = False
    repeats: bool = False
    threshold: bool = False
    tokens: str = ""
    expert: bool = False
    synchrony: bool = False
    error: bool = True
    gain: bool = False
    aliases: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        return self.id.partition("/")[0]

    @property
    def rule(self) -> str:
        """All of it in one sentence."""
        what = "pairs of neighbouring frames" if self.per_second else "frames"
        means = {
            FRAMES: f"mean over all {what} of all sequences",
            SEQUENCES: "mean over sequences",
        }
        return f"{self.formula}; {means.get(self.average, 'both summed over all sequences first')}"

    def weight(self, frames: int, tokens: int = 0) -> int:
        """What a sequence weighs in the mean: 1, or how many frames, pairs of neighbouring frames or tokens it has."""
        if self.tokens:
            return tokens
        return (frames - 1 if self.per_second else frames) if self.average == FRAMES else 1

    @property
    def reads(self) -> bool:
        """Whether it compares texts, not shapes."""
        return self.template == TEXTS

    @property
    def codes(self) -> bool:
        """Whether it is of rows of a track, and so of no mesh."""
        return self.template == CODES


CODETALKER = "Xing et al., CodeTalker, CVPR 2023, evaluation script"
FACEDIFFUSER = "Stan et al., FaceDiffuser, MIG 2023, evaluation script"
UNITALKER = "Fan et al., UniTalker, ECCV 2024, source code"
FACEFORMER = "Fan et al., FaceFormer, CVPR 2022, prose; no code, own lip vertices and own scale of the meshes"
DIFFPOSETALK = "Sun et al., DiffPoseTalk, SIGGRAPH 2024, prose; the formula is a public reconstruction (PBAS suite)"
SELFTALK = (
    "Peng et al., SelfTalk, ACM MM 2023, prose (lip readability percentage, LRP); no code, and its threshold is not "
    "published"
)
AVGUIDANCE = (
    "audio-visual guidance, Interspeech 2024 (arXiv 2407.01034), prose; its recogniser and its rules for texts are not "
    "published"
)
WAV2LIP = (
    "Prajwal et al., Wav2Lip, ACM MM 2020 (arXiv 2008.10010), with the network of Chung and Zisserman, ACCV workshops "
    "2016; of renders, so that no paper's numbers compare"
)
LIP_CURVE = "the curve: CodeTalker's first author (issue 55 of its repository); as an error: ours"
OURS = "ours"

_SQUARED = "per frame the largest squared distance between truth and prediction over the lip vertices"
_LARGEST = "per frame the largest distance (not squared) between truth and prediction over the lip vertices"
_MEAN = "per frame the mean distance (not squared) between truth and prediction over all vertices"
_DEVIATION = (
    "per sequence the mean over the upper-face vertices of the standard deviation over time (population) of the "
    "squared distance from the template, truth minus prediction"
)
_SIGNED = _DEVIATION + " (positive: the prediction is too still)"
_OPENING = "lip opening: distance between the means of the upper and of the lower lip's middle vertices"
_VELOCITY = "per pair of neighbouring frames the mean distance between the displacements of truth and prediction over"

_LIST = (
    Definition(
        "lve/codetalker", "lip vertex error", _SQUARED, CODETALKER, "lip_squared", FRAMES,
        power=2, role=LIPS, lengths=TO_TRUTH, aliases=("lve/selftalk",),
    ),
    Definition(
        "lve/facediffuser", "lip vertex error", _SQUARED, FACEDIFFUSER, "lip_squared", FRAMES,
        power=2, role=LIPS, aliases=("lve/talkingstyle", "lve/torchmetrics"),
    ),
    Definition(
        "lve/unitalker", "lip vertex error", f"{_SQUARED}, mean over the frames of a sequence", UNITALKER,
        "lip_squared", SEQUENCES, power=2, role=LIPS,
    ),
    Definition(
        "lve/faceformer", "lip vertex error, not squared", _LARGEST, FACEFORMER, "lip_distance", FRAMES, role=LIPS
    ),
    Definition(
        "lvd/unitalker", "lip vertex distance", f"{_LARGEST}, mean over the frames of a sequence", UNITALKER,
        "lip_distance", SEQUENCES, role=LIPS,
    ),
    Definition("mve/facediffuser", "mean vertex error", _MEAN, FACEDIFFUSER, "distance", FRAMES),
    Definition(
        "mve/facediffuser-sequences", "mean vertex error", f"{_MEAN}, mean over the frames of a sequence",
        f"{FACEDIFFUSER} (computed there, not printed)", "distance", SEQUENCES,
    ),
    Definition(
        "mve_lips/facepipe", "mean vertex error of the lips",
        "per frame the mean distance (not squared) over the lip vertices, each once", OURS,
        "distance_lips", FRAMES, role=LIPS,
    ),
    Definition(
        "mve_upper/facepipe", "mean vertex error of the upper face",
        "per frame the mean distance (not squared) over the upper-face vertices, each once", OURS,
        "distance_upper", FRAMES, role=UPPER_FACE,
    ),
    Definition(
        "mve_lower/facepipe", "mean vertex error of all but the upper face",
        "per frame the mean distance (not squared) over all vertices outside the upper face", OURS,
        "distance_lower", FRAMES, role=UPPER_FACE,
    ),
    Definition(
        "fdd/codetalker", "upper-face dynamics deviation", _SIGNED, CODETALKER, "deviation", SEQUENCES,
        power=2, role=UPPER_FACE, repeats=True, lengths=TO_TRUTH, template=DISPLACEMENTS, error=False,
    ),
    Definition(
        "fdd/facediffuser", "upper-face dynamics deviation", _SIGNED, FACEDIFFUSER, "deviation", SEQUENCES,
        power=2, role=UPPER_FACE, repeats=True, template=DISPLACEMENTS, aliases=("fdd/talkingstyle",), error=False,
    ),
    Definition(
        "fdd_abs/facediffuser", "absolute upper-face dynamics deviation", f"{_DEVIATION}, its absolute value",
        FACEDIFFUSER, "deviation_abs", SEQUENCES, power=2, role=UPPER_FACE, repeats=True, template=DISPLACEMENTS,
    ),
    Definition(
        "opening_correlation/facepipe", "lip opening correlation",
        f"{_OPENING}; per sequence Pearson's correlation over frames of truth's and prediction's, where both move",
        OURS, "opening_correlation", SEQUENCES, power=0, role=OPENING, repeats=True, error=False,
    ),
    Definition(
        "opening_error/facepipe", "lip opening error",
        f"{_OPENING}; per frame the absolute difference of truth's and prediction's", OURS,
        "opening_error", FRAMES, role=OPENING, repeats=True,
    ),
    Definition(
        "mod/diffposetalk", "mouth opening difference",
        "mouth opening: largest minus smallest vertical coordinate of the lip vertices; per sequence the mean over "
        "frames of the absolute difference of truth's and prediction's", DIFFPOSETALK,
        "extent_error", SEQUENCES, role=LIPS,
    ),
    Definition(
        "lip_distance/codetalker", "lip distance error",
        "lip distance: between FLAME's vertices 3546 and 3504; per frame the absolute difference of truth's and "
        "prediction's", LIP_CURVE, "lip_middle_error", FRAMES, role=LIP_MIDDLE,
    ),
    Definition(
        "velocity/facepipe", "velocity error", f"{_VELOCITY} all vertices, times frames per second", OURS,
        "velocity", FRAMES, per_second=True,
    ),
    Definition(
        "velocity_lips/facepipe", "velocity error of the lips",
        f"{_VELOCITY} the lip vertices (each once), times frames per second", OURS,
        "velocity_lips", FRAMES, role=LIPS, per_second=True,
    ),
    Definition(
        "diversity/facediffuser", "diversity",
        "per sequence and pair of predictions in different styles the mean over frames and vertices of their distance; "
        "mean over the pairs of a sequence, where it has any", FACEDIFFUSER,
        "diversity", SEQUENCES, lengths=UNCUT, styles=EVERY_STYLE, error=False,
    ),
    Definition(
        "diversity_samples/facepipe", "diversity of samples",
        "per sequence and pair of its samples the mean over frames and vertices of their distance; mean over the pairs "
        "of a sequence, where it has any", OURS,
        "diversity_samples", SEQUENCES, lengths=UNCUT, styles=EVERY_SAMPLE, error=False,
    ),
    Definition(
        "code_mse/facepipe", "squared error of codes",
        "per frame the mean over the track's numbers of the squared difference between truth and prediction", OURS,
        "code_mse", FRAMES, power=0, template=CODES,
    ),
    Definition(
        "code_velocity/facepipe", "velocity error of codes",
        "per pair of neighbouring frames the length of the difference between the changes of truth and prediction, in "
        "all of the track's numbers, times frames per second", OURS,
        "code_velocity", FRAMES, power=0, template=CODES, per_second=True,
    ),
    Definition(
        "diversity_codes/facepipe", "diversity of samples in codes",
        "per sequence and pair of its samples the mean over frames of the length of the difference of the track's "
        "numbers; mean over the pairs of a sequence, where it has any", OURS,
        "diversity_codes", SEQUENCES, power=0, lengths=UNCUT, template=CODES, styles=EVERY_SAMPLE, error=False,
    ),
    Definition(
        "lip_readability/selftalk", "lip readability",
        "share of the frames, in percent, whose largest distance (not squared) between truth and prediction over the "
        "lip vertices is below the threshold", SELFTALK,
        "lips_readable", FRAMES, power=0, role=LIPS, percent=True, threshold=True, error=False,
    ),
    Definition(
        "lip_reading_error/facepipe", "lip reading error",
        "character error rate, edits ÷ letters heard, spaces included and case aside: the fewest letters to insert, "
        "delete or replace that turn what the recogniser heard in the sound into what the network reads off the lips "
        "that it moved; without sequences in which nothing was heard", OURS,
        "lip_reading_error", LETTERS, power=0, lengths=WHOLE, template=TEXTS, tokens=HEARD,
    ),
    Definition(
        "cer/avguidance", "character error rate of a lip-reading expert",
        "edits ÷ characters said, spaces included and case aside: the fewest characters to insert, delete or replace "
        "that turn what is said into what the expert reads", AVGUIDANCE,
        "lipread_cer", LETTERS, power=0, lengths=SPOKEN, template=TEXTS, tokens=SAID_LETTERS, expert=True,
    ),
    Definition(
        "wer/facepipe", "word error rate of a lip-reading expert",
        "edits ÷ words said, case aside: the fewest words to insert, delete or replace that turn what is said into "
        "what the expert reads", OURS,
        "lipread_wer", WORDS, power=0, lengths=SPOKEN, template=TEXTS, tokens=SAID_WORDS, expert=True,
    ),
    Definition(
        "ver/facepipe", "viseme error rate of a lip-reading expert",
        "edits ÷ visemes said: the same with what both texts look like on the lips, by our own table of visemes or one "
        "that is given; the paper's is not published, so that its numbers are others", OURS,
        "lipread_ver", VISEMES, power=0, lengths=SPOKEN, template=TEXTS, tokens=SAID_VISEMES, expert=True,
    ),
    Definition(
        "lse_d/wav2lip", "lip sync error, distance",
        "per window of five pictures (25 a second) the distance of a SyncNet's features of the pictures from those of "
        "the sound, mean over the windows of a sequence; the least of the means at 31 offsets, -15 … 15 pictures",
        WAV2LIP, "lse_d", SEQUENCES, power=0, lengths=WINDOWS, template=PICTURES, synchrony=True,
    ),
    Definition(
        "lse_c/wav2lip", "lip sync error, confidence",
        "the median of the same 31 means of a sequence, less the least of them", WAV2LIP,
        "lse_c", SEQUENCES, power=0, lengths=WINDOWS, template=PICTURES, synchrony=True, error=False, gain=True,
    ),
)  # fmt: skip
DEFINITIONS = {item.id: item for item in _LIST}
FAMILIES = tuple(dict.fromkeys(item.family for item in _LIST))
NAMES = (*FAMILIES, *DEFINITIONS, *(alias for item in _LIST for alias in item.aliases))
"""All that `find` knows."""


def find(name: str) -> tuple[Definition, ...]:
    """The definition of a name or an alias, or all of a family; none for an unknown name."""
    return tuple(item for item in _LIST if name in (item.id, item.family, *item.aliases))
