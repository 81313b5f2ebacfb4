"""Clean text as a result: kept documents with the columns asked for, in formats that other tools read."""
