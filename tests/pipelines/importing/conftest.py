"""Files as SERL's, HIL-SERL's and robomimic's own scripts write them, of a small made-up arm."""

import copy
import dataclasses
import json
import pickle

import h5py
import numpy as np
import pytest

SIZE = 24


@dataclasses.dataclass
class FrankaLike:
    """What the wrapped environments of SERL give: `reset`, `step` and an operator who acts.

    Observations have a leading axis of one frame (serl_launcher/wrappers/chunking.py), the state
    is flat, float32, in alphabetical order of its 5 parts (wrappers/serl_obs_wrappers.py).
    """

    actions: int = 6
    length: int = 8
    cameras: tuple[str, ...] = ("wrist_1", "wrist_2")
    seed: int = 0
    size: int = SIZE

    def __post_init__(self):
        self.rng = np.random.default_rng(self.seed)
        self.episode = -1

    def reset(self):
        self.position, self.step_in_episode = np.zeros(3), 0
        self.episode += 1
        return self._observation(), {}

    def step(self, succeeds=True):
        """One step of the operator; the executed action is in `info["intervene_action"]`."""
        action = self.rng.uniform(-1, 1, self.actions)
        if self.actions == 7:
            pressed = {1: -0.95, self.length - 2: 0.95}.get(self.step_in_episode, 0.0)
            action[6] = pressed
        self.position = self.position + 0.02 * action[:3]
        self.step_in_episode += 1
        done = self.step_in_episode >= self.length
        reward = int(done and succeeds)
        info = {"intervene_action": action, "left": False, "right": False}
        return self._observation(), reward, done, False, info

    def _observation(self):
        state = np.concatenate(
            [[0.5], np.zeros(3), self.position, np.zeros(3), np.zeros(3), self.rng.normal(size=6)]
        )
        frames = {
            name: self.rng.integers(0, 255, (1, self.size, self.size, 3), dtype=np.uint8)
            for name in self.cameras
        }
        return {"state": state.astype(np.float32)[None], **frames}


def record_serl(env, episodes=3, fails=()):
    """The flat list that SERL's examples/async_peg_insert_drq/record_demo.py pickles."""
    transitions, number = [], 0
    obs, _ = env.reset()
    while number < episodes:
        actions = np.zeros((env.actions,))
        next_obs, rew, done, _, info = env.step(succeeds=number not in fails)
        if "intervene_action" in info:
            actions = info["intervene_action"]
        transitions.append(
            copy.deepcopy(
                dict(
                    observations=obs,
                    actions=actions,
                    next_observations=next_obs,
                    rewards=rew,
                    masks=1.0 - done,
                    dones=done,
                )
            )
        )
        obs = next_obs
        if done:
            number += 1
            obs, _ = env.reset()
    return transitions


def record_hil_serl(env, episodes=3):
    """The flat list that HIL-SERL's examples/record_demos.py pickles, with its wrappers' infos.

    `succeed` is of MultiCameraBinaryRewardClassifierWrapper (franka_env/envs/wrappers.py),
    `original_state_obs` of RelativeFrame (relative_env.py), `grasp_penalty` of
    examples/experiments/usb_pickup_insertion/wrapper.py. The operator rests at every third step.
    """
    transitions, number, trajectory = [], 0, []
    obs, _ = env.reset()
    while number < episodes:
        actions = np.zeros(env.actions)
        next_obs, rew, done, _, info = env.step()
        if len(trajectory) % 3 == 2:
            del info["intervene_action"]
        if "intervene_action" in info:
            actions = info["intervene_action"]
        info |= {
            "succeed": bool(rew),
            "grasp_penalty": -0.02 if len(trajectory) == 2 else 0.0,
            "original_state_obs": {"tcp_pose": np.zeros(7), "gripper_pose": np.array(0.5)},
        }
        trajectory.append(
            copy.deepcopy(
                dict(
                    observations=obs,
                    actions=actions,
                    next_observations=next_obs,
                    rewards=rew,
                    masks=1.0 - done,
                    dones=done,
                    infos=info,
                )
            )
        )
        obs = next_obs
        if done:
            if info["succeed"]:
                transitions.extend(copy.deepcopy(trajectory))
                number += 1
            trajectory = []
            obs, _ = env.reset()
    return transitions


ENV_ARGS = {
    "env_name": "Lift",
    "type": 1,
    "env_kwargs": {
        "robots": ["Panda"],
        "control_freq": 20,
        "controller_configs": {
            "type": "OSC_POSE",
            "input_max": 1,
            "input_min": -1,
            "output_max": [0.05, 0.05, 0.05, 0.5, 0.5, 0.5],
            "output_min": [-0.05, -0.05, -0.05, -0.5, -0.5, -0.5],
            "control_delta": True,
        },
    },
}


def write_robomimic(
    path, demos=4, length=6, next_obs=True, masks=True, images=True, seed=0, size=SIZE
):
    """A file as robomimic/scripts/dataset_states_to_obs.py and split_train_val.py leave it."""
    rng = np.random.default_rng(seed)
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        for index in range(demos):
            demo = data.create_group(f"demo_{index}")
            actions = rng.uniform(-1, 1, (length, 7))
            positions = np.vstack([np.zeros(3), np.cumsum(0.05 * actions[:, :3], axis=0)])
            frames = rng.integers(0, 255, (length + 1, size, size, 3), dtype=np.uint8)
            demo["actions"] = actions
            demo["states"] = rng.normal(size=(length, 12))
            demo["rewards"] = np.r_[np.zeros(length - 1), 1.0]
            demo["dones"] = np.r_[np.zeros(length - 1, int), 1]
            for group, rows in (("obs", slice(None, -1)), ("next_obs", slice(1, None))):
                if group == "next_obs" and not next_obs:
                    continue
                demo[f"{group}/robot0_eef_pos"] = positions[rows]
                demo[f"{group}/object"] = rng.normal(size=(length, 10))
                if images:
                    demo.create_dataset(
                        f"{group}/agentview_image", data=frames[rows], compression="gzip"
                    )
            demo.attrs["num_samples"] = length
        data.attrs["total"] = demos * length
        data.attrs["env_args"] = json.dumps(ENV_ARGS, indent=4)
        if masks:
            names = [f"demo_{index}" for index in range(demos)]
            file["mask/train"] = np.array(names[1:], dtype="S8")
            file["mask/valid"] = np.array(names[:1], dtype="S8")
    return path


def as_trajectories(transitions):
    """The same as a list of trajectories, each a list of transitions."""
    trajectories, current = [], []
    for transition in transitions:
        current.append(transition)
        if transition["dones"]:
            trajectories.append(current)
            current = []
    return trajectories + ([current] if current else [])


def as_columns(trajectory):
    """A trajectory as a dictionary of columns, without next observations."""
    last = trajectory[-1]["next_observations"]
    return {
        "observations": [one["observations"] for one in trajectory] + [last],
        **{
            key: np.array([one[key] for one in trajectory])
            for key in ("actions", "rewards", "dones", "masks")
        },
    }


@dataclasses.dataclass(frozen=True)
class Recorders:
    """The functions above, for tests."""

    Env = FrankaLike
    serl = staticmethod(record_serl)
    hil_serl = staticmethod(record_hil_serl)
    as_trajectories = staticmethod(as_trajectories)
    as_columns = staticmethod(as_columns)
    robomimic = staticmethod(write_robomimic)

    @staticmethod
    def save(path, content, protocol=pickle.DEFAULT_PROTOCOL):
        path.write_bytes(pickle.dumps(content, protocol=protocol))
        return path


@pytest.fixture
def recorded():
    return Recorders
