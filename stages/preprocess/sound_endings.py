"""The endings of files that may hold sound, in the order in which they are looked for. Light, for planning."""

PLAIN = (".wav", ".flac", ".ogg", ".mp3")
"""What libsndfile reads."""
CONTAINERS = {".m4a": "mp4", ".mp4": "mp4", ".aac": "aac", ".flv": "flv"}
"""What FFmpeg reads → its name of the format."""
ENDINGS = (*PLAIN, ".m4a", ".mp4", ".aac")
