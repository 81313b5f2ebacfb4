"""Addresses of pages against a user's lists: hosts, exact addresses and words, looked up in mapped tables."""
