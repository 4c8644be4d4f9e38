"""`pipe data init`: what a folder of recordings seems to hold, shown before its dataset.toml is written."""
