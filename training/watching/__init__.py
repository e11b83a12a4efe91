"""The live page of a run: `serlds watch`."""
