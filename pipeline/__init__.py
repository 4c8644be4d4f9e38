"""The engine: recipes, plans, execution and the command line. Knows no faces and imports no torch."""
