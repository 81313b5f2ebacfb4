"""Embeddings, clusters, scores, and who is sampled."""
