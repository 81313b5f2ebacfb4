"""A folder or an object store, behind one contract; no Ray, no text."""
