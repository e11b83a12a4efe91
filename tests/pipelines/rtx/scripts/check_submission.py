"""What Open X-Embodiment asks of a contribution, checked on each step: DIRECTORY [SPLIT ...].

The requirements are those of the submission check in kpertsch/rlds_dataset_builder (its step
specification after the contributor's transform: image, 8-d action, scalars, language), applied to
every split and also to the shapes of scalars. Prints the number of steps.
"""

import sys

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

TURN = 2 * np.pi
LOW = np.array([-1, -1, -1, -TURN, -TURN, -TURN, -1, 0])
HIGH = np.array([1, 1, 1, TURN, TURN, TURN, 1, 1])


def transformed(step):
    """The step as a contributor's transform hands it in."""
    image = tf.image.resize(step["observation"]["image"], (128, 128))
    action = np.append(step["action"], np.float32(step["is_terminal"]))
    return {**step, "image": tf.cast(image, tf.uint8).numpy(), "action": action}


def check(step):
    """Raises where a value is not as specified."""
    assert step["image"].shape == (128, 128, 3) and step["image"].dtype == np.uint8
    action = step["action"]
    assert action.shape == (8,) and action.dtype == np.float32, action
    assert np.all(action >= LOW) and np.all(action <= HIGH), action
    for name in ("discount", "reward"):
        value = step[name]
        assert value.shape == () and value.dtype == np.float32 and 0 <= value <= 1, (name, value)
    for name in ("is_first", "is_last", "is_terminal"):
        assert step[name].shape == () and step[name].dtype == np.bool_, name
    assert step["language_instruction"].decode().strip()
    embedding = step["language_embedding"]
    assert embedding.shape == (512,) and embedding.dtype == np.float32


steps = 0
builder = tfds.builder_from_directory(sys.argv[1])
for split in builder.info.splits:
    for episode in builder.as_dataset(split=split):
        assert episode["episode_metadata"]["file_path"].numpy()
        for step in tfds.as_numpy(episode["steps"]):
            check(transformed(step))
            steps += 1
assert "serlds" not in sys.modules
print(steps)
