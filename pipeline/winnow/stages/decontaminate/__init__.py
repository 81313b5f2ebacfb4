"""Items of evaluation sets: read, looked for in what is kept, and left out."""
