"""Kernels on Arrow string columns: normalise, words, signals, rules, language."""
