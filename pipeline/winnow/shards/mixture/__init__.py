"""Mixtures: buckets of documents by columns, and how many tokens each bucket gives."""
