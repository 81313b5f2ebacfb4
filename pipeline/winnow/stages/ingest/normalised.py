"""Repair of a batch inside a unit: of texts, and of the parts of structured documents; counted in the record."""

from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from winnow.engine.stage import Workspace
from winnow.sources.source import SourceConfig
from winnow.sources.structured.parts import JOINT
from winnow.sources.structured.structure import contents_of, text_of, with_contents
from winnow.text.normalise.normalise import Normaliser


def normalised(
    raw: pa.Array, normalise: Normaliser, workspace: Workspace, documents: np.ndarray[Any, Any] | None = None
) -> pa.Array:
    """The texts after repair, counted; ``documents`` as the normaliser takes it."""
    with workspace.timed("normalise"):
        found = normalise(raw, documents)
    workspace.count("normalise_documents_changed", found.documents_changed)
    workspace.count("normalise_cjk_documents", found.cjk_documents)
    workspace.count("normalise_identical_bytes", found.identical_bytes)
    workspace.count("normalise_substituted_bytes", found.substituted_bytes)
    workspace.count("normalise_ftfy_bytes", found.ftfy_bytes)
    return found.texts


def normalised_parts(
    structures: pa.Array, source: SourceConfig, normalise: Normaliser, workspace: Workspace
) -> tuple[pa.Array, pa.Array]:
    """Texts and structures of structured documents: each part is normalised by itself, and none runs into the next."""
    whole = structures.to_pylist()
    contents = [contents_of(structure) for structure in whole]
    flat = pa.array([content for parts in contents for content in parts], pa.large_string())
    documents = np.repeat(np.arange(len(contents)), [len(parts) for parts in contents])
    clean = iter(normalised(flat, normalise, workspace, documents).to_pylist())
    parts = [list(islice(clean, len(old))) for old in contents]
    changed = [with_contents(structure, new) for structure, new in zip(whole, parts, strict=True)]
    if source.compare_system:
        texts = [JOINT.join(new) for new in parts]
    else:
        texts = [text_of(structure, compare_system=False) for structure in changed]
    return pa.array(texts, pa.large_string()), pa.array(changed, pa.string())
