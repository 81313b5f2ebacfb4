"""Shard formats besides Parquet: the bytes of each file, from rows in memory. No storage, no compiled kernels here.

(Compiled kernels must not stand in this folder: the name of numba's cache covers ``shards`` and ``shards/packing``.)
"""
