"""What users bring: signals, mappers and filters on Arrow batches, found, checked and run like built-in steps."""
