"""Coarser copies of triangle meshes: without a GPU the price of an image is its vertices."""

from __future__ import annotations

from pathlib import Path

import numpy as np

_STL_HEADER_BYTES = 84
_STL_TRIANGLE = np.dtype([("normal", "<f4", 3), ("vertices", "<f4", (3, 3)), ("flags", "<u2")])


def read_stl(path: Path) -> np.ndarray:
    """Triangles of a binary STL file: (N, 3, 3) float64, corner by corner."""
    triangles = np.frombuffer(path.read_bytes(), dtype=_STL_TRIANGLE, offset=_STL_HEADER_BYTES)
    return triangles["vertices"].astype(np.float64)


def cluster_vertices(triangles: np.ndarray, cell: float) -> tuple[np.ndarray, np.ndarray]:
    """Merges all vertices that share a cell of a cubic grid into their mean.

    Rossignac and Borrel, "Multi-resolution 3D approximations for rendering complex scenes", 1993.

    Args:
      triangles: (N, 3, 3).
      cell: edge of a cell, in the unit of the triangles.

    Returns:
      vertices (V, 3) float64 and faces (F, 3) int32; faces that collapsed are left out.
    """
    corners = triangles.reshape(-1, 3)
    cells = np.floor((corners - corners.min(axis=0)) / cell).astype(np.int64)
    _, cluster = np.unique(cells, axis=0, return_inverse=True)
    cluster = cluster.reshape(-1)
    sums = np.zeros((cluster.max() + 1, 3))
    np.add.at(sums, cluster, corners)
    vertices = sums / np.bincount(cluster)[:, None]

    faces = cluster.reshape(-1, 3)
    first, second, third = faces.T
    faces = faces[(first != second) & (second != third) & (third != first)]
    # The same face twice, seen from either side, costs twice and flickers.
    _, kept = np.unique(np.sort(faces, axis=1), axis=0, return_index=True)
    return vertices, faces[np.sort(kept)].astype(np.int32)
