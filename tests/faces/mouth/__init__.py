"""The renderer of the mouth video."""
