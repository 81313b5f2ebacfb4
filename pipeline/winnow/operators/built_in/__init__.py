"""Operators that come with Winnow, one a file."""
