"""Speed, growth and other tools: each script prints a table."""
