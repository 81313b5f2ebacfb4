"""Boilerplate lines: how often each occurs, and how they are removed."""
