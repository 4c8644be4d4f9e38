"""Keys, digests, records and the artifact store. Imports nothing else of the project."""
