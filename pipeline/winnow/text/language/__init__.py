"""Language identification equal to py3langid, and the codes it gives."""
