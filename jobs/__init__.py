"""Entry points: what people and schedulers start."""
