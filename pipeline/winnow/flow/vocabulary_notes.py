"""What a run says of its vocabulary before any work: which tokens begin and end a document, what templates read."""

from winnow.config.config import Config
from winnow.config.structured import template_of
from winnow.sources.source import SourceConfig
from winnow.sources.structured.chat import inspect_template, spelled_names
from winnow.tokens.vocabulary import Vocabulary


def token_name(vocabulary: Vocabulary, token: int | None) -> str:
    """A token as it is told; "" for none."""
    return "" if token is None else f"{vocabulary.name_of(token)} ({token})"


def ends_line(config: Config, begins: str, ends: str) -> str:
    """How documents begin and end, as plan and summary tell it."""
    chats = "; conversations begin as their template writes it" if any(s.is_chat for s in config.sources) else ""
    return f"each document begins with {begins or 'no token'} and ends with {ends}{chats}"


def vocabulary_warnings(config: Config, vocabulary: Vocabulary) -> list[str]:
    """What was changed or is not as the vocabulary's file or a template would have it."""
    return [
        *(f"{vocabulary.name}: {note}" for note in vocabulary.notes),
        *_ends(config, vocabulary),
        *(line for source in config.sources if source.is_chat for line in _template(config, vocabulary, source.name)),
    ]


def _ends(config: Config, vocabulary: Vocabulary) -> list[str]:
    """Tokens that the post-processor of a tokenizer.json would have put around a text."""
    lines = []
    first = () if vocabulary.first_token is None else (vocabulary.first_token,)
    written = all(source.is_chat and _writes(source, vocabulary.file_begin, vocabulary) for source in config.sources)
    if vocabulary.file_begin not in ((), first) and config.tokenise.first_token is None and not written:
        names = " ".join(token_name(vocabulary, token) for token in vocabulary.file_begin)
        lines.append(
            f"{vocabulary.name}: its file puts {names} before every text, and this run begins documents with "
            f"{token_name(vocabulary, vocabulary.first_token) or 'no token'}; set tokenise.first_token to "
            f'{vocabulary.name_of(vocabulary.file_begin[0])!r}, or to "" if none is meant'
        )
    if vocabulary.file_end not in ((), (vocabulary.end_of_text,)) and config.tokenise.end_of_text is None:
        names = " ".join(token_name(vocabulary, token) for token in vocabulary.file_end)
        lines.append(
            f"{vocabulary.name}: its file puts {names} behind every text, and this run ends documents with "
            f"{token_name(vocabulary, vocabulary.end_of_text)}; set tokenise.end_of_text to the one that is meant"
        )
    return lines


def _writes(source: SourceConfig, tokens: tuple[int, ...], vocabulary: Vocabulary) -> bool:
    """Whether a source's template writes these tokens itself, as far as its text says."""
    reads = inspect_template(template_of(source).text)
    names = {"bos_token"} & reads.variables
    return bool(names) or all(vocabulary.name_of(token) in reads.literals for token in tokens)


def _template(config: Config, vocabulary: Vocabulary, name: str) -> list[str]:
    """What a source's template reads and does not get, and special names that it writes and the vocabulary lacks."""
    source = next(source for source in config.sources if source.name == name)
    template = template_of(source)
    reads = inspect_template(template.text)
    names = vocabulary.template_names
    given = {key for key, value in names.items() if value} | template.variables.keys()
    missing = sorted(reads.variables - given - ({"tools"} if source.tools else set()))
    lines = []
    if missing:
        lines.append(
            f"source {name}: its chat_template reads {', '.join(missing)}, which it does not get; set "
            "template_variables (tools: the field that holds them), or leave it if the template can do without"
        )
    if source.tools and "tools" not in reads.variables:
        lines.append(
            f"source {name}: its chat_template does not read tools, so nothing of the field {source.tools!r} is in the "
            "rows; set a chat_template that does, or take `tools` out"
        )
    if "strftime_now" in template.text:
        told = f"is told {template.date} (template_date)"
        lines.append(f"source {name}: its chat_template asks for today's date and {told}")
    if spelled := sorted(spelled_names(reads.literals, frozenset(vocabulary.special_tokens))):
        lines.append(spelled_warning(name, spelled))
    return lines


def spelled_warning(source: str, names: list[str]) -> str:
    """Of names that a template writes and the vocabulary lacks."""
    listed = ", ".join(names[:8])
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return (
        f"source {source}: its chat_template writes {listed}{more}, which the vocabulary has not got as special "
        "tokens: they are spelled out in pieces; set tokenise.added_tokens if each is to be one token"
    )
