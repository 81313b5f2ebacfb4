"""Object stores (s3://, gs://, az://): addresses, requests with retries, ranged reading, and a node's cache."""
