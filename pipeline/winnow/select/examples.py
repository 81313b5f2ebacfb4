"""Files of examples that the user points at: what a sample should be like, what is good, what is bad."""
