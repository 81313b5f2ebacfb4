"""What a run's tables say of its documents: listings, texts, rules at other thresholds."""
