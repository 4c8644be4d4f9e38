"""Readers of the kinds of artifact: the contracts between stages, one module per kind."""
