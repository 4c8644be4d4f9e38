"""`pipe data card`: what an artifact of the kind `sequences` holds, whose it is, and what was found in it."""
