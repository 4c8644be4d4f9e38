"""wav2vec 2.0 (Baevski et al., NeurIPS 2020) and HuBERT (Hsu et al., TASLP 2021) as one small graph of our own.

`config` says what is built, `convolutions` turns sound into features at 50 Hz and `long_sound` does so in blocks,
`transformer` turns features into hidden states. Parameters have the names and shapes of the `transformers` checkpoints.
"""
