"""Golden cases: what published implementations compute for given weights and inputs, held against ours.

`python -m tests.golden DIR…` runs every case in the given folders. A model is added with one line in
`tests.golden.run.RUNNERS`.
"""
