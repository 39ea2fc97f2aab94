"""How a sparse network runs."""
