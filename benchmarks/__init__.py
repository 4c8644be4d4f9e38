"""Commands that repeat every speed and memory claim: `python -m benchmarks.decode` and its neighbours."""
