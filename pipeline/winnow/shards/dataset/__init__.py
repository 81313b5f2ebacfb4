"""The training-side reader: needs numpy and pyarrow, and torch for the two dataset classes alone."""
