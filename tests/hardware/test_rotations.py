import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serlds.hardware import rotations

angles = st.floats(-3.1, 3.1)
components = st.floats(-1.7, 1.7)  # a vector of three stays shorter than pi
rotvecs = st.tuples(components, components, components).map(np.array)


def matrix(rotvec):
    """Rodrigues' formula, written independently of the code under test."""
    angle = np.linalg.norm(rotvec)
    if angle == 0.0:
        return np.eye(3)
    x, y, z = rotvec / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross


@given(rotvecs)
def test_rotvec_and_quaternion_are_inverse(rotvec):
    back = rotations.rotvec_of_quat(rotations.quat_of_rotvec(rotvec))
    np.testing.assert_allclose(back, rotvec, atol=1e-6)


@given(rotvecs, rotvecs)
def test_rotate_and_multiply_agree_with_matrices(left, right):
    product = rotations.multiply(rotations.quat_of_rotvec(left), rotations.quat_of_rotvec(right))
    vector = np.array([0.3, -1.0, 2.0])
    expected = matrix(left) @ matrix(right) @ vector
    np.testing.assert_allclose(rotations.rotate(product, vector), expected, atol=1e-9)


@given(rotvecs)
def test_conjugate_undoes_the_rotation(rotvec):
    quat = rotations.quat_of_rotvec(rotvec)
    identity = rotations.multiply(quat, rotations.conjugate(quat))
    np.testing.assert_allclose(identity, [1, 0, 0, 0], atol=1e-9)


@given(angles)
def test_yaw_is_a_turn_about_z(yaw):
    turned = rotations.rotate(rotations.quat_of_yaw(yaw), np.array([1.0, 0.0, 0.0]))
    np.testing.assert_allclose(turned, [math.cos(yaw), math.sin(yaw), 0.0], atol=1e-12)


@given(angles, angles, st.integers(-4, 4))
def test_quarter_turn_error_is_small_and_blind_to_quarter_turns(start, goal, quarters):
    error = rotations.quarter_turn_error(start, goal)
    assert abs(error) <= math.pi / 4 + 1e-12
    # After the turn, what remains to the goal is a whole number of quarter turns.
    remaining = (goal - start - error) / (math.pi / 2)
    assert remaining == pytest.approx(round(remaining), abs=1e-9)
    again = rotations.quarter_turn_error(start, goal + quarters * math.pi / 2)
    assert math.cos(4 * (again - error)) == pytest.approx(1.0, abs=1e-9)
