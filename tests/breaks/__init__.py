"""Breaks: small faults put into a copy of the code on purpose, each of which a fast test must notice.

``make test-breaks`` runs them (``python -m tests.breaks --help``). The lists stand beside this file, one module for
each sentence of DESIGN.md section 1.
"""
