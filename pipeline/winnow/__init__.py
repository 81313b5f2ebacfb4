"""Winnow's library: what happens to text between raw files and training shards."""
