"""Kept documents to token ids."""
