"""Removal requests: what they list, the ledger without it, and whether words of it still stand in the shards."""
