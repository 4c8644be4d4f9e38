"""Surfaces of scalar fields, negative inside: extracted, followed over a sequence, kept in one topology.

A field is a callable, (N, 3) float32 points → (N,) numbers. What computes it, a neural head or a formula, is not known
here. `extract` (surface) makes a mesh of one, `Follower` (follow) one for each frame; `Extraction` (settings) holds
every choice. `Tracker` (tracking) carries the vertices of one frame through the others, `register` (registration) lays
a given mesh onto a surface. `FacialWeight` (weight) and `cut` (throat) are what talking heads need besides.
"""
