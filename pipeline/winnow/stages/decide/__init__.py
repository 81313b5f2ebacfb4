"""One outcome and one split for every document."""
