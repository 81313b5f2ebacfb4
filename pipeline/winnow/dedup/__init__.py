"""Kernels of near-duplicate removal: signatures, bands, components, keepers."""
