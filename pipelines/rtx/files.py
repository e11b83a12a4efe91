"""What lies beside the data of an RT-X export: README, citation, normalisation statistics."""

from __future__ import annotations

import json
from typing import Any

from ...datasets import keys
from ...datasets.dataset_files import DatasetCard
from ...datasets.paths import DatasetPath
from ...datasets.reading import Dataset
from ..statistics.fields import Statistics, summary
from .options import RtxOptions
from .schema import STATE, RtxLayout, action_convention

README_FILE = "README.md"
CITATION_FILE = "CITATIONS.bib"
NORMALISATION_FILE = "dataset_statistics.json"


def normalisation_json(statistics: Statistics, layout: RtxLayout) -> bytes:
    """Statistics as Octo (`p01`, `p99`) and OpenVLA (`q01`, `q99`) name them.

    `{"action": {...}, "proprio": {...}, "num_transitions", "num_trajectories"}`; each of RT-1's
    actions is listed under its own path.
    """
    values: dict[str, Any] = {}
    for field in layout.schema.steps:
        column = statistics.columns.get(field.path)
        if column is None or field.path == keys.REWARD:
            continue
        figures = summary(column, field.shape)
        figures |= {"p01": figures["q01"], "p99": figures["q99"]}
        values["proprio" if field.path == STATE else field.path] = figures
    values["num_transitions"] = statistics.num_transitions
    values["num_trajectories"] = statistics.num_trajectories
    return (json.dumps(values, indent=2) + "\n").encode()


def readme(
    source: Dataset,
    target: DatasetPath,
    card: DatasetCard,
    layout: RtxLayout,
    options: RtxOptions,
    encoder: str,
) -> bytes:
    """A page for people who get the dataset."""
    rows = [
        f"| `{field.path}` | {field.describe()} | {field.about.to_text().replace('|', '/')} |"
        for field in layout.schema.steps
    ]
    size = options.image_size
    images = (
        f"Images were brought to {size}x{size} ({options.image_fit}) and encoded as JPEG."
        if layout.images
        else "There are no images."
    )
    lines = [
        f"# {target.name} {target.version}",
        "",
        card.description,
        "",
        *([f"Website: {card.homepage}", ""] if card.homepage else []),
        f"Licence: {card.license}",
        "",
        "## Loading",
        "",
        "```python",
        "import tensorflow_datasets as tfds",
        "",
        f'dataset = tfds.load("{target.name}", data_dir="<data_dir>", split="train")',
        "```",
        "",
        "Splits: `train`, and `val` for evaluation where there is one. `dataset_statistics.json` "
        "holds the figures to normalise by, over all splits.",
        "",
        "## Conventions",
        "",
        action_convention(options, source.schema.action),
        "",
        "Every step has a real action: the observation after the last action is left out, and the "
        "last step carries `is_last` and the reward of its action. `is_terminal` is set there, and "
        "`discount` is 0, only where the episode terminated, as by success; an episode that ran "
        "into a time limit or was stopped has `is_last` without `is_terminal` and keeps a discount "
        "of 1. Rewards are those of the source.",
        "",
        "## Processing",
        "",
        f"Exported by serlds from its dataset {source.name} {source.version}. {images} Language "
        f"embeddings come from {encoder}.",
        "",
        "## Fields of a step",
        "",
        "| field | type | meaning |",
        "|---|---|---|",
        *rows,
        "",
    ]
    return "\n".join(lines).encode()
