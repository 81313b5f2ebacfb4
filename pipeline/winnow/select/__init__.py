"""Embedding, clusters, semantic duplicates, sampling: functions on Arrow and numpy, torch where a model needs it."""
