import pytest

from winnow.text.language.codes import LANGUAGES, nearest_code
from winnow.text.language.config import LanguageConfig
from winnow.text.language.detect import LanguageIdentifier


def test_the_list_is_what_the_model_can_say():
    assert set(LANGUAGES) == set(LanguageIdentifier(LanguageConfig()).labels)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("english", "en"),
        ("English ", "en"),
        ("eng", "en"),
        ("EN", "en"),
        ("en-US", "en"),
        ("pt_BR", "pt"),
        ("fra", "fr"),
        ("germn", "de"),
        ("???", None),
    ],
)
def test_the_nearest_code(text, code):
    assert nearest_code(text) == code
