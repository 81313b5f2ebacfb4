"""Redact: what is replaced in kept texts, as operators say."""
