"""A z-buffer rasteriser with smooth shading, twice: compiled by Numba, and in NumPy alone for where that is absent."""
