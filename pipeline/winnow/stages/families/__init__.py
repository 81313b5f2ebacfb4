"""Documents and the texts that were made of them: who belongs together, and whether all of it is in one split."""
