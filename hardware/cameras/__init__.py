"""Cameras, each captured by a process of its own."""
