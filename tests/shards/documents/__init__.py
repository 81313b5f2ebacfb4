"""Clean text as a result."""
