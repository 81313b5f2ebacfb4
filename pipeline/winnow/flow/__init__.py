"""Which stages, in which order."""
