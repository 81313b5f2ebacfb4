"""Is it true: a finished run recomputed, step by step."""
