"""Shapes in which people's records come, brought to the one that the rest knows: ``role`` and ``content``, a text each.

Read besides: ShareGPT's ``from`` and ``value`` (https://github.com/lm-sys/FastChat), and contents in parts, as OpenAI's
chat API takes them (``[{"type": "text", "text": ...}, ...]``).
"""

from typing import Any

SHAREGPT_ROLES = {
    **dict.fromkeys(("human", "user"), "user"),
    **dict.fromkeys(("gpt", "assistant", "chatgpt", "bing", "bard", "model", "function_call"), "assistant"),
    **dict.fromkeys(("tool", "function", "observation", "function_response"), "tool"),
    "system": "system",
}
"""What stands in ``from``, in lower case, and whose role it is."""
SAY_MORE = (("tool_calls",), ("function_call",), ("reasoning_content", "reasoning", "thinking"))
"""Parts of a message beside which it may have no content; the names of one part together."""
PART_JOINT = "\n"
"""Between the parts of a content."""


def as_message(given: dict[str, Any]) -> dict[str, Any]:
    """A message with ``role`` and ``content`` where it can be told what they are; all other keys stay as they are."""
    message = dict(given)
    sender = message.get("from")
    if message.get("role") is None and type(sender) is str:
        del message["from"]
        message = {**message, "role": SHAREGPT_ROLES.get(sender.lower(), sender)}
    if message.get("content") is None and type(message.get("value")) is str:
        message["content"] = message.pop("value")
    if type(message.get("content")) is list:
        message["content"] = text_of_parts(message["content"])
    return message


def text_of_parts(parts: list[Any]) -> Any:
    """The text of a content in parts; the parts themselves where one is no text (an image, a sound)."""
    texts: list[Any] = [
        part.get("text") if type(part) is dict and part.get("type", "text") == "text" else part for part in parts
    ]
    return PART_JOINT.join(texts) if all(type(text) is str for text in texts) else parts
