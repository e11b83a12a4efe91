"""What the robot did over an episode: too fast, too little, too short, and with what outcome."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...datasets import keys
from ..findings import ERROR, WARNING, Finding
from ..transforms.noops import moving_steps
from .check import Check, Limits, Threshold
from .fields import Fields
from .look import Look

PLACEHOLDERS = (
    "pick up something",
    "dummy instruction",
    "do something",
    "task",
    "todo",
    "none",
    "null",
    "n/a",
    "na",
    "test",
    "unknown",
    "instruction",
    "language instruction",
    "-",
)


def find_speed(look: Look, limits: Limits) -> Iterator[Finding]:
    """Positions that jump."""
    if look.position is None or not look.control_hz or len(look.episode) < 2:
        return
    speed = np.linalg.norm(np.diff(look.position, axis=0), axis=1) * look.control_hz
    worst = int(np.argmax(speed))
    if np.isfinite(speed).all() and speed[worst] > limits["max_m_s"]:
        message = "the tool moves faster than an arm can: a jump, or another unit than m"
        expected, found = f"at most {limits['max_m_s']:g} m/s", f"{speed[worst]:.3g} m/s"
        assert look.fields.position is not None  # there are positions
        path = look.fields.position.path
        yield Finding("speed", ERROR, message, worst + 1, path, expected, found)


def find_idle(look: Look, limits: Limits) -> Iterator[Finding]:
    """Stretches in which nothing is commanded."""
    if not len(look.actions) or not np.isfinite(look.actions).all():
        return
    moving = moving_steps(look.actions, limits["min_norm"], look.fields.targets_absolute)
    idle, leading = (
        1 - float(moving.mean()),
        int(np.argmax(moving)) if moving.any() else len(moving),
    )
    allowed = limits["max_leading_s"] * (look.control_hz or 10.0)
    if idle > limits["max_share"] and np.sum(~moving) > limits["min_steps"]:
        message = f"nothing is commanded at {int(np.sum(~moving))} of {len(moving)} steps"
        step = int(np.argmin(moving))
        expected = f"at most {limits['max_share']:.0%}"
        yield Finding("idle", WARNING, message, step, keys.ACTION, expected, f"{idle:.0%}")
    elif leading > allowed:
        message = f"the first {leading} steps command nothing"
        expected = f"at most {limits['max_leading_s']:g} s"
        yield Finding("idle", WARNING, message, 0, keys.ACTION, expected, f"{leading} steps")


def find_outcome(look: Look, limits: Limits) -> Iterator[Finding]:
    """Success without reward, sparse reward without success."""
    rewards = np.asarray(look.episode.columns[keys.REWARD])[: look.action_rows]
    if look.episode.success and not rewards.any():
        message = "marked successful, but every reward is 0"
        yield Finding("success_reward", ERROR, message, None, keys.REWARD, "a reward", "none")
    ones = np.flatnonzero(rewards == 1)
    if not look.episode.success and ones.size and np.isin(rewards, (0, 1)).all():
        message = "sparse reward of 1, but the episode is not marked successful"
        yield Finding(
            "success_reward", ERROR, message, int(ones[0]), keys.REWARD, "success", "no success"
        )


def find_language(look: Look, limits: Limits) -> Iterator[Finding]:
    """Steps without an instruction, and instructions that say nothing."""
    texts = look.episode.columns[_instruction(look.fields)]
    empty = [step for step, text in enumerate(texts) if not str(text).strip()]
    path = _instruction(look.fields)
    if empty:
        message = f"empty at {len(empty)} of {len(texts)} steps"
        yield Finding("language", WARNING, message, empty[0], path, "an instruction", "none")
        return
    for text in dict.fromkeys(texts):
        if str(text).strip().strip(".").lower() in PLACEHOLDERS:
            step = list(texts).index(text)
            message = "the instruction is a placeholder"
            yield Finding(
                "language",
                WARNING,
                message,
                step,
                path,
                "what the robot is asked to do",
                repr(text),
            )
            return


def _instruction(fields: Fields) -> str:
    natural = f"{keys.OBSERVATION}/natural_language_instruction"
    known = (keys.LANGUAGE_INSTRUCTION, natural)
    return next((path for path in known if path in fields.schema), "")


def _no_position(fields: Fields) -> str:
    return "" if fields.position else "no position of the tool (e.g. observation/state/tcp_pos)"


def _no_outcome(fields: Fields) -> str:
    if keys.REWARD not in fields.schema:
        return "no reward"
    said = any(field.path == keys.SUCCESS for field in fields.schema.metadata)
    return "" if said else "no success in the metadata"


SPEED = Check(
    name="speed",
    rule="Between two steps the tool does not move faster than an arm can.",
    severity="error",
    source="Franka's limit is 1.7 m/s; set it for your robot",
    remedy="Correct the unit when importing, or drop these episodes.",
    thresholds=(Threshold("max_m_s", 2.0, "m/s", "largest speed of the tool"),),
    missing=_no_position,
    episode=find_speed,
)
IDLE = Check(
    name="idle",
    rule="Few steps command nothing (neither motion nor a change of the gripper), and none for "
    "long at the start. A policy that learns from pauses pauses.",
    severity="warning",
    source="OpenVLA's no-op filter; openpi #605; forge-robotics (share 0.1)",
    remedy="`serlds convert SOURCE DESTINATION --apply drop_noops`.",
    thresholds=(
        Threshold("max_share", 0.1, "share of steps", "that command nothing"),
        Threshold("min_steps", 3, "steps", "up to this many are never reported"),
        Threshold("max_leading_s", 1.0, "s", "that command nothing at the start"),
        Threshold("min_norm", 1e-4, "unit of the action", "norm from which an action moves"),
    ),
    missing=lambda fields: "" if fields.action and fields.action.size > 1 else "no action vector",
    episode=find_idle,
)
SUCCESS_REWARD = Check(
    name="success_reward",
    rule="A successful episode has a reward other than 0; one whose rewards are 0 and 1, with a 1 "
    "among them, is marked successful. Other rewards are dense and say nothing about success.",
    severity="error",
    source="serlds' data contract",
    remedy="Relabel the rewards (`serlds convert --apply`, see docs/transforms.md), or drop these "
    "episodes.",
    missing=_no_outcome,
    episode=find_outcome,
)
LANGUAGE = Check(
    name="language",
    rule="Every step says what the robot is asked to do, and no placeholder stands for it.",
    severity="warning",
    source="Octo drops episodes without; placeholders found in Open X-Embodiment (oxe #15)",
    remedy="Set the instruction from a template or table (`serlds convert --apply`, see "
    "docs/transforms.md).",
    missing=lambda fields: "" if _instruction(fields) else "no language_instruction",
    episode=find_language,
)
