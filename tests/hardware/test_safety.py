import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from serlds.hardware import rotations, safety
from serlds.hardware.rig_state import Clamp
from serlds.hardware.robots import ROBOTS
from serlds.hardware.safety import Box, Motion

PERIOD_S = 0.01
ROBOT = ROBOTS["trossen"]
LIMITS, KINEMATICS, HOME = ROBOT.limits, ROBOT.arm.kinematics(), ROBOT.arm.tool_down_joint_rad
LOWER, UPPER = np.array(LIMITS.joint_lower_rad), np.array(LIMITS.joint_upper_rad)
SPEED, CHANGE = np.array(LIMITS.speed_rad_s), np.array(LIMITS.acceleration_rad_s2) * PERIOD_S
BOX = Box.of(LIMITS)
EPSILON = 1e-9
ASIDE_M = np.array([0.0, 0.25, 0.0])

anywhere = st.tuples(*[st.floats(-20, 20)] * 6).map(np.array)
parts = st.tuples(*[st.floats(0, 1)] * 6).map(np.array)
allowed = parts.map(lambda part: LOWER + part * (UPPER - LOWER))
fingers = st.floats(-1, 1)
near_home = st.tuples(*[st.floats(-0.25, 0.25)] * 6).map(lambda turn: HOME + np.array(turn))


def at_rest(joint_rad, gripper_m=0.02):
    return Motion(joint_rad, np.zeros(6), gripper_m)


def guarded(last, target, gripper_m, box=BOX):
    """One period as a rig's loop has it."""
    motion, limited = safety.limit_motion(last, target, gripper_m, LIMITS, PERIOD_S)
    motion, boxed = safety.keep_in_box(last, motion, target, box, KINEMATICS, PERIOD_S)
    return motion, limited | boxed


def outside_m(joint_rad):
    return BOX.outside_m(KINEMATICS.forward(joint_rad)[0])


@given(anywhere, fingers)
def test_a_clipped_target_is_within_the_limits_and_what_changed_is_told(joint_rad, gripper_m):
    clipped, finger_m, clamps = safety.clip_to_limits(joint_rad, gripper_m, LIMITS)
    assert (clipped >= LOWER).all() and (clipped <= UPPER).all()
    assert 0.0 <= finger_m <= LIMITS.gripper_upper_m
    assert bool(clamps & Clamp.JOINT_LIMIT) == (not np.array_equal(clipped, joint_rad))
    assert bool(clamps & Clamp.GRIPPER_LIMIT) == (finger_m != gripper_m)


@given(allowed, st.integers(0, 6), st.sampled_from([np.nan, np.inf, -np.inf]))
def test_a_target_that_is_not_finite_is_refused(joint_rad, place, value):
    numbers = np.append(joint_rad, 0.02)
    numbers[place] = value
    flaws = safety.flaws_of(numbers[:6], numbers[6], joint_rad, LIMITS.first_jump_rad)
    assert flaws == Clamp.NOT_FINITE and flaws.refused


@given(allowed, allowed)
def test_only_a_standing_arm_refuses_a_far_target(standing, target):
    far = np.abs(target - standing).max() > LIMITS.first_jump_rad
    flaws = safety.flaws_of(target, 0.0, standing, LIMITS.first_jump_rad)
    assert flaws == (Clamp.JUMP if far else Clamp.NONE)
    assert safety.flaws_of(target, 0.0, None, LIMITS.first_jump_rad) == Clamp.NONE


@given(allowed, st.lists(st.tuples(allowed, fingers, st.integers(1, 40)), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_motion_keeps_the_limits_of_position_speed_and_acceleration(start, targets):
    last = at_rest(start)
    for target, gripper_m, rounds in targets:
        for _ in range(rounds):
            motion, _ = safety.limit_motion(last, target, gripper_m, LIMITS, PERIOD_S)
            step = motion.joint_rad - last.joint_rad
            assert (np.abs(step) <= SPEED * PERIOD_S + EPSILON).all()
            assert (np.abs(motion.joint_rad_s - last.joint_rad_s) <= CHANGE + EPSILON).all()
            assert (motion.joint_rad >= LOWER - EPSILON).all()
            assert (motion.joint_rad <= UPPER + EPSILON).all()
            finger_step = abs(motion.gripper_m - last.gripper_m)
            assert finger_step <= LIMITS.gripper_speed_m_s * PERIOD_S + EPSILON
            last = motion


@given(allowed, allowed)
@settings(max_examples=15, deadline=None)
def test_motion_arrives_without_passing_the_target(start, target):
    last = at_rest(start)
    sign = np.sign(target - start)
    for _ in range(500):
        last, clamps = safety.limit_motion(last, target, 0.03, LIMITS, PERIOD_S)
        assert (sign * (target - last.joint_rad) >= -EPSILON).all()
    np.testing.assert_allclose(last.joint_rad, target, atol=1e-4)
    assert last.gripper_m == 0.03
    assert clamps == Clamp.NONE


def test_motion_tells_what_limits_it():
    far = HOME + np.array([1.0, 0, 0, 0, 0, 0])
    _, clamps = safety.limit_motion(at_rest(HOME), far, 0.02, LIMITS, PERIOD_S)
    assert clamps == Clamp.ACCELERATION
    fast = Motion(HOME, np.array([SPEED[0], 0, 0, 0, 0, 0]), 0.02)
    _, clamps = safety.limit_motion(fast, far, 0.02, LIMITS, PERIOD_S)
    assert clamps == Clamp.SPEED


@given(near_home, st.lists(allowed, min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_the_tool_never_leaves_its_box_nor_goes_farther_outside(start, targets):
    start = np.clip(start, LOWER, UPPER)
    last, worst_m = at_rest(start), max(safety.BOX_TOLERANCE_M, outside_m(start))
    for wish in targets:
        target, _ = safety.into_box(wish, LIMITS, BOX, KINEMATICS)
        for _ in range(25):
            last, _ = guarded(last, target, 0.02)
            now_m = outside_m(last.joint_rad)
            assert now_m <= worst_m + EPSILON
            worst_m = max(safety.BOX_TOLERANCE_M, now_m)


def test_a_target_outside_slides_along_the_wall():
    inside, quat = KINEMATICS.forward(HOME)
    outside = np.array([inside[0] + 0.04, 0.1, LIMITS.box_lower_m[2] - 0.03])
    target = KINEMATICS.solve(HOME, outside, quat, 50)
    target, clamps = safety.into_box(target, LIMITS, BOX, KINEMATICS)
    assert clamps == Clamp.WORKSPACE
    last = at_rest(HOME)
    for _ in range(200):
        last, _ = guarded(last, target, 0.02)
    reached = KINEMATICS.forward(last.joint_rad)[0]
    np.testing.assert_allclose(reached, [outside[0], 0.1, LIMITS.box_lower_m[2]], atol=0.005)


turns = st.tuples(*[st.floats(-0.3, 0.3)] * 3).map(np.array)
places = st.tuples(*[st.floats(0, 1)] * 3).map(
    lambda part: BOX.lower_m + 0.02 + np.array(part) * (BOX.upper_m - BOX.lower_m - 0.04)
)


def posed(pos_m, turn, start=HOME):
    quat = KINEMATICS.forward(HOME)[1]
    return KINEMATICS.solve(
        start, pos_m, rotations.multiply(rotations.quat_of_rotvec(turn), quat), 100
    )


@given(places, turns, st.sampled_from(range(6)), st.floats(0.01, 0.04), turns)
@settings(max_examples=60, deadline=None)
def test_an_arm_at_a_wall_gets_away_from_it(place, turn, side, away_m, other_turn):
    """To any pose a step or two farther inside, also where the joints' way leads out first."""
    axis, upper = divmod(side, 2)
    place[axis] = BOX.upper_m[axis] + 0.0019 if upper else BOX.lower_m[axis] - 0.0019
    start = np.clip(posed(place, turn), LOWER, UPPER)
    assume(outside_m(start) < safety.BOX_TOLERANCE_M)
    inside = place.copy()
    inside[axis] += -away_m if upper else away_m
    target = np.clip(posed(inside, other_turn, start), LOWER, UPPER)
    assume(outside_m(target) == 0.0 and np.abs(target - start).max() < 0.8)
    last = at_rest(start)
    for _ in range(300):
        last, _ = guarded(last, target, 0.02)
        assert (np.abs(last.joint_rad_s) <= SPEED + EPSILON).all()
        assert outside_m(last.joint_rad) <= safety.BOX_TOLERANCE_M + EPSILON
    np.testing.assert_allclose(last.joint_rad, target, atol=1e-3)


def test_a_target_inside_is_left_alone():
    target, clamps = safety.into_box(HOME, LIMITS, BOX, KINEMATICS)
    assert target is HOME and clamps == Clamp.NONE


def test_only_the_floor_of_a_box_holds_on_the_way_home():
    floor = BOX.floor()
    assert floor.outside_m(np.array([5.0, -5.0, 5.0])) == 0.0
    assert floor.outside_m(np.array([0.0, 0.0, BOX.lower_m[2] - 0.1])) == pytest.approx(0.1)


points = st.tuples(*[st.floats(-1, 1)] * 3)
chains = st.lists(points, min_size=2, max_size=4).map(np.array)


@given(chains, chains)
@settings(deadline=None)
def test_the_distance_of_links_is_what_fine_sampling_finds(first, second):
    def dots(chain):
        part = np.linspace(0, 1, 60)[:, None]
        pairs = itertools.pairwise(chain)
        return np.concatenate([start + part * (end - start) for start, end in pairs])

    sampled = np.linalg.norm(dots(first)[:, None] - dots(second)[None], axis=-1).min()
    exact = safety.polyline_distance_m(first, second)
    assert exact <= sampled + 1e-6
    assert exact >= sampled - 0.06  # dots of the longest link are 0.06 apart
    assert exact == pytest.approx(safety.polyline_distance_m(second, first), abs=1e-6)


def distance_of_two(joint_rad):
    """Two arms side by side, 0.5 m between their bases."""
    left, right = (KINEMATICS.links(position) for position in joint_rad)
    return safety.polyline_distance_m(left + ASIDE_M, right - ASIDE_M)


@given(st.lists(st.tuples(allowed, allowed), min_size=1, max_size=4), st.floats(0.05, 0.3))
@settings(max_examples=20, deadline=None)
def test_arms_never_come_nearer_than_allowed(targets, least_m):
    last = (at_rest(HOME), at_rest(HOME))
    for pair in targets:
        for _ in range(25):
            motions = [
                safety.limit_motion(old, target, 0.02, LIMITS, PERIOD_S)[0]
                for old, target in zip(last, pair, strict=True)
            ]
            before_m = distance_of_two([motion.joint_rad for motion in last])
            last, clamp = safety.keep_apart(last, motions, distance_of_two, least_m, PERIOD_S)
            after_m = distance_of_two([motion.joint_rad for motion in last])
            assert after_m >= min(least_m, before_m) - EPSILON
            if clamp == Clamp.NONE:
                assert last == tuple(motions)


def test_arms_that_are_too_near_may_part():
    towards = HOME + np.array([-0.55, 0, 0, 0, 0, 0])
    last = (at_rest(towards), at_rest(HOME + np.array([0.55, 0, 0, 0, 0, 0])))
    near_m = distance_of_two([motion.joint_rad for motion in last])
    apart = [safety.limit_motion(motion, HOME, 0.02, LIMITS, PERIOD_S)[0] for motion in last]
    moved, clamp = safety.keep_apart(last, apart, distance_of_two, near_m + 0.5, PERIOD_S)
    assert clamp == Clamp.NONE and moved == tuple(apart)
