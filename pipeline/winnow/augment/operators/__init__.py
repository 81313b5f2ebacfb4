"""What is asked of a model: one file an operator."""
