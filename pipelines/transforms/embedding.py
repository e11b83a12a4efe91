"""Embeddings of the language instruction."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import re
from typing import ClassVar, Literal

import numpy as np

from ...datasets import keys
from ...datasets.episode import Episode
from ...datasets.schema import Field, FieldDoc, Schema
from ..sentence_encoder import EMBEDDING_SIZE, embed, encoder_name
from .schema_edits import add_fields, field_of, replace_fields
from .transform import Transform

LANGUAGE_EMBEDDING = "language_embedding"
_WORD = re.compile(r"\w+")


@dataclasses.dataclass(frozen=True)
class EmbedLanguage(Transform):
    """Adds `language_embedding`, a vector of length 1 for the instruction of each step.

    `hash` counts words and pairs of words in hashed places, with hashed signs (Weinberger et al.
    2009, "Feature Hashing for Large Scale Multitask Learning"): fast, the same everywhere, equal
    words give similar vectors, synonyms do not. `use` is the multilingual Universal Sentence
    Encoder 3 (Yang et al. 2019), which runs here and knows synonyms. Embeddings of different
    encoders must not be mixed; the schema names the encoder. Of a text without words the embedding
    is 0. An embedding that is there already is replaced.

    Attributes:
      encoder: `hash` or `use`.
      dim: number of dimensions; `use` has 512.
    """

    name: ClassVar[str] = "embed_language"
    example: ClassVar[str] = "embed_language:encoder=hash,dim=256"
    encoder: Literal["hash", "use"] = "hash"
    dim: int = EMBEDDING_SIZE

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("dim", self.dim >= 1, "at least 1")
        if self.encoder == "use":
            self._require("dim", self.dim == EMBEDDING_SIZE, f"{EMBEDDING_SIZE} with encoder=use")

    def map_schema(self, schema: Schema) -> Schema:
        field_of(self.name, schema, keys.LANGUAGE_INSTRUCTION)
        encoder = encoder_name() if self.encoder == "use" else "hashed words and pairs of words"
        about = FieldDoc(f"Embedding of the instruction, of length 1, from {encoder}.")
        field = Field(LANGUAGE_EMBEDDING, "float32", (self.dim,), None, about)
        if LANGUAGE_EMBEDDING in schema:
            return replace_fields(schema, {LANGUAGE_EMBEDDING: field})
        return add_fields(self.name, schema, field)

    def __call__(self, episode: Episode, schema: Schema) -> Episode:
        texts = [str(text) for text in episode.columns[keys.LANGUAGE_INSTRUCTION]]
        vector = _sentence_embedding if self.encoder == "use" else self._hashed
        distinct = {text: vector(text) for text in set(texts)}
        column = np.stack([distinct[text] for text in texts])
        return Episode({**episode.columns, LANGUAGE_EMBEDDING: column}, episode.metadata)

    def _hashed(self, text: str) -> np.ndarray:
        return hashed_embedding(text, self.dim)


def hashed_embedding(text: str, dim: int) -> np.ndarray:
    """(dim,) float32 of length 1: signed counts of words and pairs of words in hashed places."""
    words = _WORD.findall(text.casefold())
    vector = np.zeros(dim)
    for token in (*words, *(" ".join(pair) for pair in itertools.pairwise(words))):
        number = int.from_bytes(hashlib.blake2b(token.encode(), digest_size=8).digest(), "little")
        vector[(number >> 1) % dim] += 1 if number & 1 else -1
    length = np.linalg.norm(vector)
    return (vector / length if length else vector).astype(np.float32)


@functools.lru_cache(maxsize=4096)
def _sentence_embedding(text: str) -> np.ndarray:
    # Of a dataset's few instructions each is embedded once in a process.
    vector = embed([text])[text] if _WORD.search(text) else np.zeros(EMBEDDING_SIZE, np.float32)
    vector.flags.writeable = False
    return vector
