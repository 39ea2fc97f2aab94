"""Plain modules to put structure on, and the weights that they start from."""
