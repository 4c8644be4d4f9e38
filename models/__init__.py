"""The networks, one package per paper, and what they share. Pure PyTorch: no files, no caching, no command line."""
