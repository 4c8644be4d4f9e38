"""A talking mouth as a lip reader sees it, with gradients back to the vertices.

Needs PyTorch, which the rest of `faces` does not: import its modules where they are used.

`MouthRenderer` (renderer) is the door. `MouthCamera` (camera) is what it looks through, `visible` (visibility) the
z-buffer without gradient; `surface` and `light` say what a pixel then shows, `kernels` the same compiled.
"""
