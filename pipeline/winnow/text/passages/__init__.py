"""Passages that texts repeat word for word, found by winnowing."""
