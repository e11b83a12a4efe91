"""The language instruction of each step, for datasets that must have one."""

from __future__ import annotations

from ..datasets import keys
from ..datasets.episode import Episode
from .findings import ERROR, BadEpisodeError, Finding


def instructions(episode: Episode, default: str) -> list[str]:
    """The instruction of each step; `default` where it is empty.

    Raises:
      BadEpisodeError: it is empty and there is no default.
    """
    texts = episode.columns.get(keys.LANGUAGE_INSTRUCTION, [""] * len(episode))
    filled = [str(text) if text.strip() else default for text in texts]
    if not all(filled):
        message = "there is no language instruction; give one for such steps with --instruction"
        step = next(step for step, text in enumerate(filled) if not text)
        raise BadEpisodeError(
            Finding("language", ERROR, message, step, keys.LANGUAGE_INSTRUCTION, "text", "''")
        )
    return filled
