import pytest
from pydantic import ValidationError

from winnow.sources.source import SourceConfig


def test_a_yaml_list_of_paths_and_columns_is_taken_though_the_model_is_strict():
    source = SourceConfig.model_validate({"name": "web-1.a_b", "path": ["a", "b"], "keep": ["url"]})
    assert source.paths == ("a", "b") and source.keep == ("url",)
    assert SourceConfig(name="a", path="x").paths == ("x",)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "a b"},
        {"name": ""},
        {"name": "a/b"},
        {"path": ""},
        {"path": []},
        {"path": ["a", ""]},
        {"weight": 0.0},
        {"weight": -1.0},
        {"keep": ["a", "a"]},
        {"separator": ""},
        {"max_document_mb": 0},
        {"format": "xls"},
        {"txt": "body"},
        {"path": 7},
    ],
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ValidationError):
        SourceConfig.model_validate({"name": "a", "path": "x", **wrong})
