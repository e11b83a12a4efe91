"""Robots: what describes an arm, how it is driven, and what keeps it safe."""
