"""What a pipeline does with each part of its source."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from .parts import Part


class Job(Protocol):
    """What is done with a part. It must survive pickling: it travels to the workers."""

    def run(self, part: Part, directory: Path) -> dict[str, Any]:
        """Processes a part and returns its result as JSON values.

        Args:
          part: the records to process.
          directory: where files of the part may be written, under `unique_name`s.
        """
        ...
