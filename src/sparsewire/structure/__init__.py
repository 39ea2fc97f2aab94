"""What is connected: values and pure functions."""
