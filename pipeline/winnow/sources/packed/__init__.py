"""Archives of files: tar and zip, and books that are zip files. Members are read one by one; nothing is unpacked."""
