"""Short texts that tell two engines of one vocabulary apart."""

import json

_TEXTS = (
    "It's 12 words, DON'T I'll we'Ve x's",
    "  two  blanks \n\n\tand\r\n lines \n ",
    " ",
    "\n",
    "12345678901 1,234.56 \u00b2\u00b3 \u0663\u0664",
    "e\u0301 \u00e9 \u212b \ufb01 \u0915\u094d\u0937\u0924\u094d\u0930\u093f\u092f",
    "\u4f60\u597d\uff0c\u4e16\u754c\u3002 \u3053\u3093\u306b\u3061\u306f \ud55c\uad6d\uc5b4 \u0e44\u0e17\u0e22",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f3f3\ufe0f\u200d\U0001f308 \u00a0\u3000 \u2028x",
    "\x00\x01\x7f\ufffd\ufeff",
    "    def f(x):\n\t\treturn x_1 // 2  # ok\n",
    "UPPER lower MiXed \u0130\u0131\u017f\u1e9e",
    "<|endoftext|> <s> </s> [SEP]",
)
_TOKENS_OF_A_KIND = 8
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized")


def probes_of(definition: bytes) -> list[str]:
    """The texts for a tokenizer.json (empty: a rank file): words, blanks and scripts of every kind, and the added
    tokens that are found in ordinary text (a few for each set of their flags) between blanks, letters, marks and each
    other."""
    kinds: dict[tuple[bool, ...], list[str]] = {}
    for token in (json.loads(definition).get("added_tokens") if definition else None) or []:
        if not token.get("special"):
            kinds.setdefault(tuple(bool(token.get(flag)) for flag in _FLAGS), []).append(token["content"])
    texts = list(_TEXTS)
    for names in kinds.values():
        for name in names[:_TOKENS_OF_A_KIND]:
            texts += [name, f"{name}{name}", f" {name} ", f"a {name} b", f"a{name}b", f"a  {name}\n b", f"x.{name},1"]
            texts += [name.upper(), name.lower(), f"\n{name}\t{name[:-1]} {name[1:]}"]
    return texts
