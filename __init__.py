"""serlds: SERL over RLDS. Every episode is an RLDS dataset; everything else is derived from it."""

__version__ = "0.1.0"
