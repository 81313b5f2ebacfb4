"""fastText's supervised models: read from their files, and asked about texts in Arrow buffers."""
