"""Text made of kept documents by a language model behind an endpoint: prompts, answers, and what of them is taken."""
