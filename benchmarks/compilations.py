"""Counts XLA's compilations by function; used on both sides of a comparison."""

from __future__ import annotations

import collections
import logging
import re

_FINISHED = re.compile(r"Finished XLA compilation of jit\((.+?)\) in")


class CompilationCounter(logging.Handler):
    """Listens to what jax logs about its compilations.

    Attributes:
        counts: Compilations by the name of the jitted function.
    """

    def __init__(self) -> None:
        """Starts counting; jax must not have compiled anything of interest yet."""
        super().__init__(logging.DEBUG)
        import jax

        self.counts: collections.Counter[str] = collections.Counter()
        jax.config.update("jax_log_compiles", True)
        logger = logging.getLogger("jax")
        logger.addHandler(self)
        logger.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        """Counts one message where it tells of a finished compilation."""
        if found := _FINISHED.search(record.getMessage()):
            self.counts[found.group(1)] += 1
