"""Tokens to vectors: embeddings, positions and attention of the examples against torch and transformers; masks within
documents against documents one by one; windows against the book's loop."""

import re
from pathlib import Path

import pytest

from tests.support.configs import run_config, source_of
from tests.support.shard_sets import write_set
from winnow.shards import ShardRows

torch = pytest.importorskip("torch", reason="torch is not installed (extra `gpu`)")
transformers = pytest.importorskip("transformers", reason="transformers is not installed (extra `encoder`)")
pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
WIDTH, HEADS, TOKENS, VOCABULARY = 32, 4, 24, 50


@pytest.fixture
def gpt(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    return pytest.importorskip("train_gpt")


@pytest.fixture
def batch():
    return torch.randn(2, TOKENS, WIDTH, generator=torch.Generator().manual_seed(1))


def close(one, two) -> bool:
    return torch.allclose(one, two, atol=2e-6, rtol=1e-5)


def test_attention_is_that_of_torch(gpt, batch):
    block = gpt.Block(WIDTH, HEADS, rotary=False)
    torch.nn.init.normal_(block.queries_keys_values.bias)
    reference = torch.nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    reference.in_proj_weight.data, reference.in_proj_bias.data = (
        block.queries_keys_values.weight,
        block.queries_keys_values.bias,
    )
    reference.out_proj.weight.data, reference.out_proj.bias.data = block.attention_out.weight, block.attention_out.bias
    later = torch.ones(TOKENS, TOKENS, dtype=torch.bool).triu(1)
    expected, _ = reference(batch, batch, batch, attn_mask=later, need_weights=False)
    assert close(block.attention(batch, torch.arange(TOKENS)[None], None), expected)
    positions = torch.tensor([[*range(10), *range(14)], [*range(24)]])
    seen = gpt.same_document(positions)
    apart = torch.block_diag(torch.ones(10, 10), torch.ones(14, 14)).bool() & ~later
    assert torch.equal(seen[:, 0], torch.stack([apart, ~later]))
    expected, _ = reference(batch[:1], batch[:1], batch[:1], attn_mask=~apart, need_weights=False)
    assert close(block.attention(batch[:1], positions[:1], seen[:1]), expected)


def test_rotary_positions_are_those_of_llama(gpt, batch):
    from transformers.models.llama.modeling_llama import LlamaAttention, LlamaConfig, LlamaRotaryEmbedding

    config = LlamaConfig(
        hidden_size=WIDTH, num_attention_heads=HEADS, num_key_value_heads=HEADS, attention_bias=True,
        attn_implementation="sdpa",
    )  # fmt: skip
    reference, block = LlamaAttention(config, layer_idx=0), gpt.Block(WIDTH, HEADS, rotary=True)
    mixed = block.queries_keys_values
    for part, layer in enumerate((reference.q_proj, reference.k_proj, reference.v_proj)):
        mine = slice(part * WIDTH, (part + 1) * WIDTH)
        layer.weight.data, layer.bias.data = mixed.weight[mine], mixed.bias[mine]
    reference.o_proj.weight.data, reference.o_proj.bias.data = block.attention_out.weight, block.attention_out.bias
    positions = torch.arange(TOKENS)[None].expand(2, -1)
    angles = LlamaRotaryEmbedding(config)(batch, positions)
    expected, _ = reference(batch, position_embeddings=angles, attention_mask=None)
    assert close(block.attention(batch, positions, None), expected)


def test_the_whole_model_with_learned_positions_is_gpt_2(gpt):
    torch.manual_seed(2)
    model = gpt.Gpt(VOCABULARY, TOKENS, WIDTH, layers=2, heads=HEADS, rotary=False)
    torch.nn.init.normal_(model.position_embedding.weight, std=0.1)
    config = transformers.GPT2Config(
        vocab_size=VOCABULARY, n_positions=TOKENS, n_embd=WIDTH, n_layer=2, n_head=HEADS, activation_function="gelu",
        resid_pdrop=0, embd_pdrop=0, attn_pdrop=0,
    )  # fmt: skip
    reference = transformers.GPT2LMHeadModel(config).eval()
    found = {"wte.weight": model.token_embedding.weight, "wpe.weight": model.position_embedding.weight}
    found |= {f"ln_f.{name}": weights for name, weights in model.norm.named_parameters()}
    for number, block in enumerate(model.blocks):
        layers = {
            "ln_1": block.attention_norm, "ln_2": block.token_norm, "attn.c_attn": block.queries_keys_values,
            "attn.c_proj": block.attention_out, "mlp.c_fc": block.token_layer[0], "mlp.c_proj": block.token_layer[2],
        }  # fmt: skip
        for name, layer in layers.items():
            turned = layer.weight.T if isinstance(layer, torch.nn.Linear) else layer.weight
            found |= {f"h.{number}.{name}.weight": turned, f"h.{number}.{name}.bias": layer.bias}
    reference.transformer.load_state_dict(found)
    ids = torch.randint(VOCABULARY, (3, TOKENS), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        assert close(model(ids), reference(ids).logits)


@pytest.mark.parametrize("rotary", [True, False])
def test_a_packed_row_trains_as_its_documents_one_by_one(gpt, rotary, tmp_path):
    """Loss and every gradient; without the mask they differ."""
    torch.manual_seed(4)
    model = gpt.Gpt(VOCABULARY, 30, WIDTH, layers=2, heads=HEADS, rotary=rotary)
    if not rotary:
        torch.nn.init.normal_(model.position_embedding.weight, std=0.1)
    documents = [torch.randint(VOCABULARY, (length + 1,)) for length in (7, 12, 5)]
    table = torch.arange(VOCABULARY)

    def trained(batches, within: bool):
        model.zero_grad()
        each = [gpt.losses_of(model, batch, table, within)[0].sum() for batch in batches]
        total = torch.stack(each).sum() / 24
        total.backward()
        return float(total.detach()), [weights.grad.clone() for weights in model.parameters()]

    alone = [
        {"input_ids": one[None], "labels": one[None], "position_ids": torch.arange(len(one))[None]} for one in documents
    ]
    packed = {name: torch.cat([one[name] for one in alone], dim=1) for name in alone[0]}
    row = packed["input_ids"].numpy().astype("uint16")
    shards = write_set(tmp_path, {"train": [row]}, {"train": [[[len(one) for one in documents]]]})
    read = ShardRows(shards, as_dict=True, shift=False, position_ids=True)[:]
    assert read.keys() == packed.keys()
    assert all(torch.equal(read[name], packed[name]) for name in packed)
    expected, gradients = trained(alone, within=False)
    loss, found = trained([packed], within=True)
    assert loss == pytest.approx(expected, rel=1e-6)
    assert all(close(one, two) for one, two in zip(found, gradients, strict=True))
    loss, found = trained([packed], within=False)
    assert loss != pytest.approx(expected, rel=1e-4)
    assert not all(close(one, two) for one, two in zip(found, gradients, strict=True))


def test_the_rule_for_flex_attention_is_the_same_mask(gpt):
    """As docs/pretraining.md has it; without gradients, which FlexAttention has on GPUs alone."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    page = (EXAMPLES.parent / "docs" / "pretraining.md").read_text()
    dense, rule = re.findall(r"^```python\n(.*?)^```$", page.split("## Documents apart")[1], re.MULTILINE | re.DOTALL)
    positions = torch.tensor([[*range(10), *range(14)], [*range(24)]])
    made = torch.randn(3, 2, HEADS, TOKENS, 16, generator=torch.Generator().manual_seed(5))
    names = {"torch": torch, "positions": positions, "tokens": TOKENS, "device": "cpu"}
    names |= dict(zip(("queries", "keys", "values"), made, strict=True))
    exec(dense, names)
    expected = names["found"]
    assert torch.equal(names["seen"], gpt.same_document(positions))
    names |= {"create_block_mask": create_block_mask, "flex_attention": flex_attention}
    exec(rule, names)
    assert close(names["found"], expected)


def windows_of_the_book(ids: list[int], length: int, stride: int) -> list[tuple[list[int], list[int]]]:
    """Chapter 2 of Raschka's book: inputs, and targets that are one further."""
    return [(ids[i : i + length], ids[i + 1 : i + length + 1]) for i in range(0, len(ids) - length, stride)]


@pytest.mark.parametrize("stride", [1, 3, 8])
def test_rows_of_windows_are_the_books_pairs(shared, tmp_path, stride):
    """The text of the documentation's example, in GPT-2's ids by tiktoken itself."""
    import winnow

    text = " ".join(f"word {n} of a short story, and more." for n in range(30))
    (tmp_path / "story.txt").write_text(text)
    config = run_config(
        tmp_path / "run",
        source_of(tmp_path / "story.txt"),
        tokenise={"encoding": str(shared / "vocab" / "gpt2.tiktoken")},
        shards={"row": "window", "sequence_tokens": 8, "window": {"stride_tokens": stride}, "splits": {}},
    )
    run = winnow.run(config)
    tiktoken = pytest.importorskip("tiktoken")
    from winnow.runs.run import load_run_vocabulary

    vocabulary = load_run_vocabulary(run.config)
    encoding = tiktoken.Encoding(
        "gpt2", pat_str=r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+""",
        mergeable_ranks=dict(vocabulary.ranks), special_tokens={},
    )  # fmt: skip
    expected = windows_of_the_book([*encoding.encode(text), vocabulary.end_of_text], 8, stride)
    tokens, targets = ShardRows(run.shards)[:]
    assert [(one.tolist(), two.tolist()) for one, two in zip(tokens, targets, strict=True)] == expected
