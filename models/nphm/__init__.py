"""Neural parametric head models: heads as fields that two codes, of identity and expression, shape.

NPHM (Giebenhain et al., CVPR 2023) and MonoNPHM (Giebenhain et al., CVPR 2024). A head stands in *NPHM units*: FLAME's
space × 4, one unit is 25 cm; x to the side, y up, z to the front. Words: a *member* is one small network of an
ensemble, a *slot* one anchor (mirrored slots share a member), *hyper* the coordinates of a canonical point beside its
three.
"""
