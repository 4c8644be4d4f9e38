"""Readers of the kinds of artifact: the contracts between stages, one module per kind."""

LOG_MEL = "log-mel"
"""The name of features that need no pretrained encoder; here, because stages name it without loading a reader."""
