import numpy as np

from serlds.hardware.meshes import cluster_vertices, read_stl


def sphere(rings=40, sectors=80):
    """Triangles (N, 3, 3) of a unit sphere."""
    polar = np.linspace(0, np.pi, rings)
    around = np.linspace(0, 2 * np.pi, sectors)
    grid = np.stack(
        [
            np.outer(np.sin(polar), np.cos(around)),
            np.outer(np.sin(polar), np.sin(around)),
            np.outer(np.cos(polar), np.ones(sectors)),
        ],
        axis=-1,
    )
    a, b, c, d = grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]
    triangles = np.stack([np.stack([a, b, c], 2), np.stack([a, c, d], 2)], 2)
    return triangles.reshape(-1, 3, 3)


def test_clustering_keeps_the_shape_with_fewer_faces():
    triangles, cell = sphere(), 0.2
    vertices, faces = cluster_vertices(triangles, cell)
    assert 50 < len(faces) < len(triangles) / 4
    assert faces.min() == 0
    assert faces.max() == len(vertices) - 1
    assert np.abs(np.linalg.norm(vertices, axis=1) - 1.0).max() < cell / 2


def test_no_face_is_degenerate_or_doubled():
    _, faces = cluster_vertices(sphere(), 0.2)
    assert all(len(set(face)) == 3 for face in faces.tolist())
    assert len({tuple(sorted(face)) for face in faces.tolist()}) == len(faces)


def test_cells_smaller_than_every_edge_change_nothing():
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=float)
    triangles = corners[[[0, 1, 2], [0, 1, 3]]]
    vertices, faces = cluster_vertices(triangles, 0.01)
    np.testing.assert_allclose(vertices[faces], triangles)


def test_stl_corners_are_read_back(tmp_path):
    triangles = sphere(5, 6).astype(np.float32)
    record = np.zeros(
        len(triangles), dtype=[("n", "<f4", 3), ("v", "<f4", (3, 3)), ("flags", "<u2")]
    )
    record["v"] = triangles
    header = b" " * 80 + np.uint32(len(triangles)).tobytes()
    path = tmp_path / "sphere.stl"
    path.write_bytes(header + record.tobytes())
    np.testing.assert_array_equal(read_stl(path), triangles)
