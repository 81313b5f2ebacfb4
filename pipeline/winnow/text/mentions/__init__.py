"""Mentions of groups of people: lists of terms, and the documents that hold one of them."""
