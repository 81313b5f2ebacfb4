"""The global shuffle, rows, and shard files."""
