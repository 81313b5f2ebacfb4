"""Language models of n-grams: ARPA files, what they say of texts, and training small ones."""
