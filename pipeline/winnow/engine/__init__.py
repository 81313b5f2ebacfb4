"""Catalogue, units, commit records, exchange, fan-out, ledger: knows nothing of text."""
