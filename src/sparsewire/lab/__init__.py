"""Where experiments are kept and done."""
