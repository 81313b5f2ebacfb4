"""Compiled kernels of select, apart from the rest so that an edit there compiles nothing anew."""
