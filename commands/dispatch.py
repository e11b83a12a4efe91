"""From a verb and its arguments to the function that does it."""

import functools
import importlib
import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

import tyro
from tyro.conf import AvoidSubcommands

from ..datasets.errors import UsageError
from .option_flags import OPTION_FLAGS

# The module and the function of each verb; only what is asked for is imported.
_FUNCTIONS = {
    "quickstart": "loop:quickstart",
    "doctor": "loop:doctor",
    "record": "capture:record",
    "teleop": "capture:teleop",
    "playback": "capture:playback",
    "import serl": "importing:import_serl",
    "import hil-serl": "importing:import_hil_serl",
    "import robomimic": "importing:import_robomimic",
    "import lerobot": "importing:import_lerobot",
    "import rlds": "importing:import_rlds",
    "import encoder": "importing:import_encoder",
    "inspect": "curating:inspect",
    "drop": "curating:drop",
    "restore": "curating:restore",
    "compact": "curating:compact",
    "recover": "curating:recover",
    "diff": "curating:diff",
    "merge": "splitting:merge",
    "split": "splitting:split",
    "validate": "validating:validate",
    "convert": "pipelines:convert",
    "transforms": "pipelines:transforms",
    "stats": "pipelines:stats",
    "export rtx": "exporting:export_rtx",
    "export lerobot": "exporting:export_lerobot",
    "export policy": "exporting:export_policy",
    "robot check": "robot:check",
    "robot home": "robot:home",
    "robot stop": "robot:stop",
    "robot recover": "robot:recover",
    "train classifier": "classifying:train_classifier",
    "train": "training:resume",
    "serve": "training:serve",
    "learner": "training:learner",
    "actor": "training:actor",
    "eval": "training:evaluate",
    "trace": "training:trace",
    "runs": "training:runs",
    "report": "reporting:report",
    "watch": "watching:watch",
}


def run_verb(name: str, arguments: Sequence[str]) -> int:
    """Parses the arguments of a verb and runs it; tyro exits with 2 on a wrong flag."""
    mine, beam_args = _split_at_dashes(list(arguments))
    function = _function(name, mine)
    if beam_args:
        function = _with_beam_args(function, name, beam_args)
    function.__doc__ = _flowing(function)
    with OPTION_FLAGS:
        return tyro.cli(function, prog=f"serlds {name}", args=mine, config=(AvoidSubcommands,))


def _function(name: str, arguments: Sequence[str]) -> Callable[..., int]:
    if name.startswith("train ") and name not in _FUNCTIONS:
        from .training import preset_name_in, train

        return train(name.split()[1], preset_name_in(arguments))
    module, _, function = _FUNCTIONS[name].partition(":")
    return getattr(importlib.import_module(f".{module}", __package__), function)


def _with_beam_args(
    function: Callable[..., int], name: str, beam_args: tuple[str, ...]
) -> Callable[..., int]:
    if "beam_args" not in inspect.signature(function).parameters:
        raise UsageError(f"serlds {name} takes nothing after `--`, found {' '.join(beam_args)}")

    @functools.wraps(function)
    def with_beam_args(**flags: Any) -> int:
        return function(**{**flags, "beam_args": beam_args})

    return with_beam_args


def _flowing(function: Callable[..., int]) -> str:
    """The docstring without the source's line breaks, which tyro would keep in a flag's help."""
    doc = re.sub(r"\n {4,}", " ", inspect.getdoc(function) or "")
    doc = re.sub(r"(?<=\S)\n(?=\S)", " ", doc)
    if "TRANSFORMS" not in doc:
        return doc
    from ..pipelines.transforms.explaining import summarize
    from ..pipelines.transforms.registry import TRANSFORMS

    return doc.replace("TRANSFORMS", summarize(TRANSFORMS.values()))  # this keeps its lines


def _split_at_dashes(arguments: list[str]) -> tuple[list[str], tuple[str, ...]]:
    if "--" not in arguments:
        return arguments, ()
    position = arguments.index("--")
    return arguments[:position], tuple(arguments[position + 1 :])
