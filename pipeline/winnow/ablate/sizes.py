"""Sizes of models, and what training one costs."""

from typing import NamedTuple


class Size(NamedTuple):
    """The shape of a model."""

    layers: int
    width: int
    heads: int
    batch_tokens: int
    """Tokens a step that suit it."""

    @property
    def hidden(self) -> int:
        """Width of the layer inside a block: 8/3 of the block's, up to the next multiple of 16 (Shazeer, 2020)."""
        return -(-8 * self.width // 3 // 16) * 16

    def parameters(self, vocabulary: int) -> int:
        """Weights; the embedding is the output layer, too."""
        block = 4 * self.width**2 + 3 * self.width * self.hidden + 2 * self.width
        return vocabulary * self.width + self.layers * block + self.width

    def flops(self, vocabulary: int, tokens: int, row: int) -> float:
        """Floating-point operations of training: six a weight and token, and those of attention.

        Source: Kaplan et al. (2020), section 2.1; Chowdhery et al. (2022), appendix B.
        """
        return 6.0 * tokens * (self.parameters(vocabulary) + self.layers * self.width * row)


SIZES = {
    "0.5M": Size(4, 64, 2, 4 << 10),
    "2M": Size(6, 128, 4, 8 << 10),
    "10M": Size(10, 256, 4, 32 << 10),
    "40M": Size(12, 512, 8, 64 << 10),
    "150M": Size(16, 768, 12, 128 << 10),
}
"""By about the number of parameters, with vocabularies of 4,096 (the largest: 32,768)."""
