"""What the numbers of surfaces mean, in the form of `faces.metrics_definitions`: distances between two surfaces.

The module imports nothing heavy. The formulas are those of `faces.mesh_measures`.
"""

from __future__ import annotations

from dataclasses import replace

from faces.metrics_definitions import FRAMES, TO_SHORTER, Definition

NPHM = "Giebenhain et al., NPHM, CVPR 2023, evaluation of fitted scans"
FACE = "face"
"""The role of the region that is looked at."""
FSCORE = "fscore_{:g}mm"
THRESHOLDS_MM = (1.0, 5.0)
_COMPLETENESS = "per frame the mean distance of points of the truth from the nearest of the surface"
_ACCURACY = "per frame the mean distance of points of the surface from the nearest of the truth"
_F = (
    "per frame 2 P R / (P + R), P the share of the surface's points nearer than {:g} mm to the truth, R that of the "
    "truth's to the surface"
)


def geometry_definitions(points: int, every: int, region: bool = False) -> list[Definition]:
    """All of them. points: that are drawn from each surface. every: which frames. region: whether they look at one."""
    which = "" if every == 1 else f", one frame of {every}"
    common = Definition(
        "", "", "", NPHM, "", FRAMES, role=FACE if region else "",
        lengths=f"{TO_SHORTER}{which}, {points} points drawn from each surface",
    )  # fmt: skip
    lengths = (
        ("chamfer_l1", "Chamfer distance, L1", "per frame the mean of completeness and accuracy", 1),
        ("chamfer_l2", "Chamfer distance, L2", "per frame the mean of both with squared distances", 2),
        ("completeness", "completeness", _COMPLETENESS, 1),
        ("accuracy", "accuracy", _ACCURACY, 1),
    )
    shares = (
        ("normal_consistency", "normal consistency", "per frame the mean |n · n'| of nearest points, both ways"),
        *((FSCORE.format(limit), f"F-score at {limit:g} mm", _F.format(limit)) for limit in THRESHOLDS_MM),
    )
    found = [
        replace(common, id=f"{name}/nphm", name=said, formula=rule, measure=name, power=power)
        for name, said, rule, power in lengths
    ]
    alike = replace(common, power=0, error=False, gain=True)
    return found + [
        replace(alike, id=f"{name}/nphm", name=said, formula=rule, measure=name) for name, said, rule in shares
    ]
