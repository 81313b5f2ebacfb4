"""Text made of the documents of a finished run: which passages, what is asked, what was answered, what is text."""
