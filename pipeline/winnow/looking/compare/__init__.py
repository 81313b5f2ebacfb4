"""What changed between two runs: settings, and what became of each document."""
