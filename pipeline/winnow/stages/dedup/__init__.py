"""From signatures to kept duplicates and removed ones."""
