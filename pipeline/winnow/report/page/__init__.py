"""The page that a run writes at its end: what happened to the data, in pictures, tables and texts."""
