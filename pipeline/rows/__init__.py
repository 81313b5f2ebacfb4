"""Row kinds: which piece of which document stands in which training row. Lengths in, pieces out."""
