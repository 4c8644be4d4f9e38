"""The endings of files that may hold sound, in the order in which they are looked for. Light, for planning."""

PLAIN = (".wav", ".flac", ".ogg")
"""What libsndfile reads."""
ENDINGS = (*PLAIN, ".m4a", ".mp4", ".aac")
