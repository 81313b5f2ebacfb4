"""Passages that stand in the corpus before: found by winnowing over the exchange, cut where texts leave."""
