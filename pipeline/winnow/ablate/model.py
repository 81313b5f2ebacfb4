"""A small GPT: rotary positions, RMSNorm, SwiGLU, one matrix for input and output; rates and scales as muP has them.

Sources: Su et al., "RoFormer" (2021); Zhang and Sennrich, "Root Mean Square Layer Normalization" (2019); Shazeer,
"GLU Variants Improve Transformer" (2020); Yang et al., "Tensor Programs V" (2022), table 8.

Legend: B rows, T tokens a row, W width, V ids.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from winnow.ablate.sizes import Size

BASE_WIDTH = 64
"""Where muP's factors are 1: the width that the learning rate is given for."""
EMBEDDING_SPREAD = 0.125
"""Standard deviation of first embeddings, at any width. Smaller ones learn far slower in so few steps (measured at 0.5M
and 120 steps: 0.02 ends 0.9 nats a token higher)."""
_THETA = 10_000.0
_EPSILON = 1e-5


class RmsNorm(nn.Module):
    """x / sqrt(mean(x^2) + 1e-5), times a learned weight float[W]; computed in float32."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """[..., W] -> [..., W]."""
        wide = x.float()
        scaled = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + _EPSILON)
        return scaled.to(x.dtype) * self.weight


def rotation(tokens: int, head: int, device: Any = None) -> tuple[Tensor, Tensor]:
    """Cosines and sines float32[T, head / 2] of the angles by which positions turn pairs of numbers."""
    frequency = _THETA ** (-torch.arange(0, head, 2, device=device, dtype=torch.float32) / head)
    angle = torch.arange(tokens, device=device, dtype=torch.float32)[:, None] * frequency
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn the pairs (i, i + head / 2) of x[B, heads, T, head] by their positions' angles."""
    first, second = x.float().chunk(2, -1)
    turned = torch.cat((first * cosine - second * sine, second * cosine + first * sine), -1)
    return turned.to(x.dtype)


class Block(nn.Module):
    """Causal attention with rotary positions, then SwiGLU, each added to what came in."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.heads, width = size.heads, size.width
        self.attention_norm, self.token_norm = RmsNorm(width), RmsNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width, bias=False)
        self.attention_out = nn.Linear(width, width, bias=False)
        self.gate_up = nn.Linear(width, 2 * size.hidden, bias=False)
        self.down = nn.Linear(size.hidden, width, bias=False)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """[B, T, W] -> [B, T, W]."""
        rows, tokens, width = x.shape
        mixed = self.queries_keys_values(self.attention_norm(x))
        queries, keys, values = mixed.view(rows, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(
            rotate(queries, cosine, sine), rotate(keys, cosine, sine), values, is_causal=True
        )
        x = x + self.attention_out(seen.transpose(1, 2).reshape(rows, tokens, width))
        gate, up = self.gate_up(self.token_norm(x)).chunk(2, -1)
        return x + self.down(functional.silu(gate) * up)


class Gpt(nn.Module):
    """The model. First weights depend on the seed alone."""

    def __init__(self, size: Size, vocabulary: int, seed: int = 0) -> None:
        super().__init__()
        self.size = size
        self.embedding = nn.Embedding(vocabulary, size.width)
        self.blocks = nn.ModuleList(Block(size) for _ in range(size.layers))
        self.norm = RmsNorm(size.width)
        self.output_scale = BASE_WIDTH / size.width
        """Of the logits: with it, a wider model begins with logits of the same size (muP for a shared matrix)."""
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, weight in self.named_parameters():
                if weight.ndim < 2:
                    continue
                spread = EMBEDDING_SPREAD if weight is self.embedding.weight else 1 / math.sqrt(weight.shape[1])
                if name.endswith(("attention_out.weight", "down.weight")):
                    spread /= math.sqrt(2 * size.layers)  # as many are added up along the way
                weight.copy_(torch.randn(weight.shape, generator=generator) * spread)

    def forward(self, ids: Tensor) -> Tensor:
        """Ids int64[B, T] -> logits [B, T, V] of the token that follows each."""
        x = self.embedding(ids)
        cosine, sine = rotation(ids.shape[1], self.size.width // self.size.heads, ids.device)
        for block in self.blocks:
            x = block(x, cosine, sine)
        return functional.linear(self.norm(x) * self.output_scale, self.embedding.weight)

    def groups(self, rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """Parameters for an optimiser of Adam's kind, each group with its ``highest`` rate."""
        matrices = [weight for block in self.blocks for weight in block.parameters() if weight.ndim > 1]
        others = [weight for weight in self.parameters() if not any(weight is matrix for matrix in matrices)]
        return [
            {"params": matrices, "highest": rate * BASE_WIDTH / self.size.width, "weight_decay": weight_decay},
            {"params": others, "highest": rate, "weight_decay": 0.0},
        ]
