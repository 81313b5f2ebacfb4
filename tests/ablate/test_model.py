"""The model against torch's own functions, and as a whole against Llama of transformers with the same weights."""

import math

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra `ablate`)")
transformers = pytest.importorskip("transformers")

from winnow.ablate.model import BASE_WIDTH, Block, Gpt, RmsNorm, rotate, rotation
from winnow.ablate.sizes import SIZES, Size


def test_rms_norm_is_that_of_torch():
    x = torch.randn(3, 5, 48) * 7
    norm = RmsNorm(48)
    torch.nn.init.normal_(norm.weight)
    torch.testing.assert_close(norm(x), torch.nn.functional.rms_norm(x, (48,), norm.weight, 1e-5))


def test_rotation_is_that_of_llama():
    from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

    queries, keys = torch.randn(2, 3, 9, 16), torch.randn(2, 3, 9, 16)
    cosine, sine = rotation(9, 16)
    wide = (torch.cat((cosine, cosine), -1)[None], torch.cat((sine, sine), -1)[None])
    expected = apply_rotary_pos_emb(queries, keys, *wide)
    torch.testing.assert_close((rotate(queries, cosine, sine), rotate(keys, cosine, sine)), tuple(expected))


def test_attention_is_softmax_of_rotated_products_and_sees_nothing_ahead():
    block = Block(Size(1, 32, 2, 1))
    x = torch.randn(2, 7, 32)
    cosine, sine = rotation(7, 16)
    normed = torch.nn.functional.rms_norm(x, (32,), eps=1e-5)
    queries, keys, values = (normed @ block.queries_keys_values.weight.T).view(2, 7, 3, 2, 16).permute(2, 0, 3, 1, 4)
    products = rotate(queries, cosine, sine) @ rotate(keys, cosine, sine).transpose(-1, -2) / 4
    products = products.masked_fill(torch.ones(7, 7, dtype=torch.bool).triu(1), -math.inf)
    mixed = (products.softmax(-1) @ values).transpose(1, 2).reshape(2, 7, 32)
    after = x + mixed @ block.attention_out.weight.T
    gate, up = (torch.nn.functional.rms_norm(after, (32,), eps=1e-5) @ block.gate_up.weight.T).chunk(2, -1)
    expected = after + (torch.nn.functional.silu(gate) * up) @ block.down.weight.T
    torch.testing.assert_close(block(x, cosine, sine), expected)


@pytest.mark.parametrize("width", [32, BASE_WIDTH, 128])
def test_the_whole_is_llama(width):
    size = Size(3, width, 4, 1)
    ours = Gpt(size, 97, seed=5)
    config = transformers.LlamaConfig(
        vocab_size=97, hidden_size=width, intermediate_size=size.hidden, num_hidden_layers=3, num_attention_heads=4,
        rms_norm_eps=1e-5, rope_theta=10_000.0, tie_word_embeddings=True, attn_implementation="eager",
    )  # fmt: skip
    llama = transformers.LlamaForCausalLM(config).eval()
    state = {"model.embed_tokens.weight": ours.embedding.weight, "model.norm.weight": ours.norm.weight}
    for number, block in enumerate(ours.blocks):
        torch.nn.init.normal_(block.attention_norm.weight)
        place = f"model.layers.{number}"
        state |= {
            f"{place}.self_attn.{name}_proj.weight": part
            for name, part in zip("qkv", block.queries_keys_values.weight.chunk(3), strict=True)
        }
        gate, up = block.gate_up.weight.chunk(2)
        state |= {
            f"{place}.self_attn.o_proj.weight": block.attention_out.weight,
            f"{place}.mlp.gate_proj.weight": gate,
            f"{place}.mlp.up_proj.weight": up,
            f"{place}.mlp.down_proj.weight": block.down.weight,
            f"{place}.input_layernorm.weight": block.attention_norm.weight,
            f"{place}.post_attention_layernorm.weight": block.token_norm.weight,
        }
    llama.load_state_dict({"lm_head.weight": ours.embedding.weight, **state})
    ids = torch.randint(0, 97, (2, 33), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = llama(ids).logits * (BASE_WIDTH / width)  # muP scales a shared output matrix by the width
        torch.testing.assert_close(ours(ids), expected, rtol=1e-4, atol=1e-5)
    assert sum(weight.numel() for weight in ours.parameters()) == size.parameters(97) == llama.num_parameters()


def test_sizes_are_about_what_they_are_called():
    for name, size in SIZES.items():
        vocabulary = 32_768 if name == "150M" else 4096
        assert 0.8 < size.parameters(vocabulary) / float(name[:-1]) / 1e6 < 1.1, name
        assert size.width % (2 * size.heads) == 0


def test_first_weights_are_the_seeds_and_nothing_else():
    size = Size(2, 32, 2, 1)
    torch.manual_seed(1)
    one = Gpt(size, 50, seed=3)
    torch.manual_seed(2)
    same, other = Gpt(size, 50, seed=3), Gpt(size, 50, seed=4)
    for a, b, c in zip(one.parameters(), same.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        assert a.ndim == 1 or not torch.equal(a, c)


def test_logits_begin_with_the_same_size_at_any_width_and_matrices_learn_slower_in_wider_models():
    ids = torch.randint(0, 500, (4, 64), generator=torch.Generator().manual_seed(1))
    spreads = {}
    for width in (64, 256):
        model = Gpt(Size(2, width, 4, 1), 500)
        spreads[width] = float(model(ids).detach().std())
        matrices, others = model.groups(0.01, 0.1)
        assert matrices["highest"] == pytest.approx(0.01 * 64 / width) and others["highest"] == 0.01
        assert (matrices["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
        counted = sum(weight.numel() for group in (matrices, others) for weight in group["params"])
        assert counted == model.size.parameters(500)
    assert spreads[256] < 1.1 * spreads[64]
