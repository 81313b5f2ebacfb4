"""The file of `winnow augment`, read as a config is: YAML to settings, and mistakes to messages."""

from pathlib import Path

import yaml
from pydantic import ValidationError

from winnow.augment.config import AugmentConfig
from winnow.config.load import override
from winnow.config.messages import mistakes_of
from winnow.config.strict_yaml import NOTHING, RepeatedSettingError, read_yaml
from winnow.config.written import as_meant, with_empty_sections
from winnow.config.yaml_mistakes import told
from winnow.errors import ConfigError


def load_augment_config(path: str, overrides: list[str] | None = None) -> AugmentConfig:
    """Read the file; ``overrides`` are ``a.b=value`` pairs, values in YAML.

    Raises:
        ConfigError: it is missing, is not YAML, or a setting is wrong.
    """
    try:
        values = with_empty_sections(read_yaml(Path(path).read_bytes().decode(), NOTHING), AugmentConfig)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; name the file with `of`, `out`, `endpoint` and so on") from error
    except RepeatedSettingError as error:
        raise ConfigError(f"{path}: {error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not readable as YAML: {told(error)}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected settings at the top level, such as `of: runs/web`")
    for change in overrides or []:
        override(values, change)
    try:
        return AugmentConfig.model_validate(as_meant(values, AugmentConfig))
    except ValidationError as error:
        raise ConfigError(f"{path}:\n" + "\n".join(mistakes_of(error, AugmentConfig))) from error
