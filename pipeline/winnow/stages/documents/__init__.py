"""Clean text out: columns of kept documents gathered part by part, shuffled, and written."""
