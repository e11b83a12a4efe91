"""What an exported dataset tells the people who get it: description, citation, licence."""

from __future__ import annotations

import dataclasses

from ..datasets.dataset_files import DatasetCard


@dataclasses.dataclass(frozen=True)
class CardOptions:
    """What a person can say about a dataset that is given away."""

    description: str = ""
    """What the dataset is; by default the description of the source."""

    citation: str = ""
    """BibTeX entry for the dataset."""

    homepage: str = ""
    """Address of the dataset's or the project's page."""

    license: str = "CC BY 4.0"
    """Licence under which the dataset is given away."""


def export_card(source: DatasetCard, options: CardOptions, title: str, key: str) -> DatasetCard:
    """The card of an export: what the person said, else what the source says.

    Args:
      source: the card of the source.
      options: what the person said.
      title: of the export, for its citation where nobody gave one.
      key: of that citation.
    """
    homepage = options.homepage or source.homepage
    return DatasetCard(
        description=options.description or source.description,
        citation=options.citation or source.citation or _bibtex(key, title, homepage),
        license=options.license,
        homepage=homepage,
    )


def _bibtex(key: str, title: str, homepage: str) -> str:
    url = f",\n  url = {{{homepage}}}" if homepage else ""
    return f"@misc{{{key},\n  title = {{{title}}}{url}\n}}"
