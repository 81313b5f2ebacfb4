"""Text repair equal to ftfy: prove what is sound, mend the rest."""
