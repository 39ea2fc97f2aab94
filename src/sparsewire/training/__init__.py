"""How weights and structure change."""
