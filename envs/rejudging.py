"""Another verdict on an episode than it was recorded with."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..datasets import keys
from ..datasets.episode import Episode
from .rollout import EpisodeResult


def rejudged(episode: Episode, success: bool) -> Episode:
    """The episode as if a person had ended it so, see `Manipulation.end`.

    Its last action is rewarded with 1 more or less, and it terminated there.
    """
    reward = np.array(episode[keys.REWARD])
    discount = np.array(episode[keys.DISCOUNT])
    reward[-2] += float(success) - float(episode.success)
    discount[-2] = 0.0
    columns = {
        **episode.columns,
        keys.REWARD: reward,
        keys.DISCOUNT: discount,
        keys.IS_TERMINAL: np.array(episode[keys.IS_LAST]),
    }
    return Episode(columns, {**episode.metadata, keys.SUCCESS: success})


def rejudged_result(result: EpisodeResult, success: bool) -> EpisodeResult:
    """How that episode went then."""
    gain = float(success) - float(result.success)
    return dataclasses.replace(
        result,
        success=success,
        terminated=True,
        episode_return=result.episode_return + gain,
    )
