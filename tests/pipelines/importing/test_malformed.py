"""More than 10,000 malformed inputs: an error that names the place, no crash, no wrong success.

Each case goes through what a worker of the pipeline runs. A case that is refused must say so with a
`SerldsError` or a finding, both naming the file; a case that passes must give episodes that fit
their schema. Where the defect is known, the episode that has it must not pass.
"""

import copy
import io
import os
import pickle
import pickletools
import shutil
import struct
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from serlds.datasets.errors import SerldsError
from serlds.datasets.reading import open_dataset
from serlds.datasets.records import frame_record
from serlds.pipelines.checks.options import CheckOptions
from serlds.pipelines.engine.parts import RecordRef, locate_records, plan_parts
from serlds.pipelines.importing.hdf5 import reader
from serlds.pipelines.importing.options import EpisodeFacts, TransitionOptions
from serlds.pipelines.importing.pickles import plan_pickles
from serlds.pipelines.importing.plan import AsRead
from serlds.pipelines.importing.rlds import plan_rlds
from serlds.pipelines.importing.rlds_options import RldsOptions
from serlds.pipelines.importing.robomimic import plan_robomimic
from serlds.pipelines.validate import ValidateJob, validate
from serlds.pipelines.writing import WriteJob

FACTS, OPTIONS = EpisodeFacts(hz=10.0), TransitionOptions()
MOST_SECONDS = 5.0
counted = Counter()


@pytest.fixture
def fast_path():
    """A directory in memory, where a sync costs nothing."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place, prefix="serlds-malformed-") as directory:
        yield Path(directory)


def episodes_of(make_plan, path, scratch):
    """How many episodes pass, None where the file is refused; asserts that refusals say where."""
    counted["cases"] += 1
    began = time.process_time()
    try:
        plan = make_plan()
    except SerldsError as error:
        assert path.name in str(error) or str(path) in str(error), error
        return None
    job = WriteJob(plan.source, AsRead(plan.source.schema))
    passed = 0
    for part in plan_parts(dict(plan.by_split)):
        result = job.run(part, scratch)
        passed += result["episodes"]
        assert result["episodes"] + result["bad"] == len(part.records)
        for finding in result["findings"]:
            assert finding["message"] and finding["file"] == str(path)
            assert finding["record"] is not None
    assert time.process_time() - began < MOST_SECONDS
    return passed


def pickled(path, content, scratch, options=OPTIONS):
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content))
    return episodes_of(lambda: plan_pickles(path, FACTS, options), path, scratch)


@pytest.fixture
def demos(recorded):
    env = recorded.Env(length=3, cameras=("front",), actions=7, size=4)
    return recorded.serl(env, episodes=2)


def mutate(data, rng):
    """The bytes with a few of them flipped, removed, repeated or cut off."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        if not changed:
            break
        at = int(rng.integers(len(changed)))
        match rng.integers(6):
            case 0:
                changed[at] = int(rng.integers(256))
            case 1:
                changed[at] ^= 1 << int(rng.integers(8))
            case 2:
                del changed[at : at + int(rng.integers(1, 20))]
            case 3:
                changed[at:at] = changed[at : at + int(rng.integers(1, 20))]
            case 4:
                changed[at : at + 4] = rng.bytes(4)
            case 5:
                del changed[at:]
    return bytes(changed)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_mutated_pickles(demos, fast_path, protocol, malformed_round):
    rng = np.random.default_rng([protocol, malformed_round])
    good = pickle.dumps(demos, protocol=protocol)
    # Most bytes are pixels, where a flip is no defect; the instructions are between them.
    codes = [position for _, _, position in pickletools.genops(good)]
    for case in range(1500):
        if case % 2:
            data = mutate(good, rng)
        else:
            at = codes[int(rng.integers(len(codes)))]
            data = good[:at] + mutate(good[at : at + 12], rng) + good[at + 12 :]
        pickled(fast_path / "demos.pkl", data, fast_path)


def defects():
    """(name, what it does to a transition); each makes the episode unusable."""

    def setting(*keys, value):
        def change(transition):
            for key in keys[:-1]:
                transition = transition[key]
            transition[keys[-1]] = value

        return change

    def removing(key):
        return lambda transition: transition.pop(key)

    nan = np.full((1, 19), np.nan, np.float32)
    infinite = np.full(7, np.inf)
    observation = "observations"
    yield from ((f"without {key}", removing(key)) for key in (observation, "actions", "rewards"))
    for value in (
        None,
        "text",
        b"bytes",
        [],
        {},
        {1: 2},
        [[1], [2, 3]],
        {"state": "x"},
        2**200,
        "é",
    ):
        yield f"observations {value!r:.20}", setting(observation, value=value)
        yield f"actions {value!r:.20}", setting("actions", value=value)
        yield f"rewards {value!r:.20}", setting("rewards", value=value)
        yield f"state {value!r:.20}", setting(observation, "state", value=value)
        yield f"image {value!r:.20}", setting(observation, "front", value=value)
    for value in (None, "text", np.nan, [1, 0], np.zeros(3)):
        yield f"masks {value!r}", setting("masks", value=value)
    for value in (
        nan,
        nan[:, :5],
        np.zeros((2, 19)),
        np.zeros((1, 20)),
        np.zeros(()),
        np.zeros((1, 0)),
    ):
        yield f"state {value.shape} {value.dtype}", setting(observation, "state", value=value)
    for shape in ((1, 4, 4, 1), (1, 4, 4), (1, 3, 4, 4), (1, 5, 4, 3), (0, 4, 4, 3), (4,), ()):
        yield f"image {shape}", setting(observation, "front", value=np.zeros(shape, np.uint8))
    yield "float image", setting(observation, "front", value=np.zeros((1, 4, 4, 3), np.float32))
    for value in (infinite, infinite[:6], np.zeros((7, 1)), np.zeros(0), np.zeros(7, complex)):
        yield f"actions {value.shape} {value.dtype}", setting("actions", value=value)
    yield "reward nan", setting("rewards", value=np.nan)
    yield "reward infinite", setting("rewards", value=np.float64("inf"))
    yield "reward of two", setting("rewards", value=np.zeros(2))
    yield "extra camera", setting(observation, "wrist", value=np.zeros((1, 4, 4, 3), np.uint8))
    yield "datetime array", setting("actions", value=np.zeros(7, "M8[s]"))


DEFECTS = list(defects())


def test_every_defect_of_a_transition_is_found(demos, fast_path, recorded):
    """In each transition, in both shapes that files have; never does the episode pass."""
    for (_, change), step, shape in (
        (defect, step, shape) for defect in DEFECTS for step in (0, 1, 5) for shape in range(3)
    ):
        changed = copy.deepcopy(demos)
        change(changed[step])
        if shape == 1:
            changed = recorded.as_trajectories(changed)
        if shape == 2:
            changed = [changed[:3], changed[3:]]
        passed = pickled(fast_path / "demos.pkl", changed, fast_path)
        assert passed is None or passed <= 1, (change, step, shape)


class Nasty:
    """Pickles to a call of a function with arguments."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_hostile_pickles_run_nothing(demos, fast_path):
    import builtins
    import subprocess

    mark = fast_path / "ran"
    calls = [
        Nasty(os.system, f"touch {mark}"),
        Nasty(subprocess.Popen, ["touch", str(mark)]),
        Nasty(builtins.exec, f"open({str(mark)!r}, 'w')"),
        Nasty(builtins.eval, f"open({str(mark)!r}, 'w')"),
        Nasty(builtins.getattr, Path, "home"),
        Nasty(open, str(mark), "w"),
        Nasty(np.zeros, (10**6, 10**6)),
        Nasty(np.load, str(mark)),
        Nasty(bytes, 10**12),
        Nasty(Path, str(mark)),
    ]
    for call in calls:
        for step in range(6):
            for place in ("observations", "actions", "rewards", "unknown"):
                for protocol in range(6):
                    changed = copy.deepcopy(demos)
                    changed[step][place] = call
                    data = pickle.dumps(changed, protocol=protocol)
                    assert not pickled(fast_path / "demos.pkl", data, fast_path)
    assert not mark.exists()


def bombs():
    """Small files that ask for much memory or time."""
    yield pickle.PROTO + b"\x04" + pickle.BINBYTES8 + struct.pack("<Q", 2**60) + b"."
    yield pickle.PROTO + b"\x04" + pickle.BINUNICODE8 + struct.pack("<Q", 2**40) + b"."
    yield pickle.PROTO + b"\x04" + pickle.LONG4 + struct.pack("<i", 2**30) + b"\xff" * 100 + b"."
    yield pickle.PROTO + b"\x04" + pickle.FRAME + struct.pack("<Q", 2**62) + b"N."
    yield b"]" * 100_000 + b"a" * 99_999 + b"."
    yield b"(" * 100_000 + b"t" * 99_999 + b"."
    yield b"]r\xff\xff\xff\xff."
    yield b"I" + b"9" * 100_000 + b"\n."
    nested = ()
    for _ in range(60):
        nested = (nested, nested)
    yield pickle.dumps([nested])
    tuple_bomb = b")" + b"2\x86" * 64
    yield b"}" + tuple_bomb + b"K\x01s."
    yield b"\x80\x04\x8f(" + tuple_bomb + b"\x90."
    shape = (2**20, 2**20, 2**20)
    for claimed in (shape, (2**62,), (-1,), (10**30,), (0,) * 40, ("x",)):
        state = io.BytesIO()
        array = pickle.dumps(np.zeros(1), protocol=2)
        state.write(array)
        data = state.getvalue()
        at = data.index(b"K\x01\x85") if b"K\x01\x85" in data else 0
        yield data[:at] + pickle.dumps(claimed, protocol=2)[2:-1] + data[at + 3 :]
    shared = [0.0]
    for _ in range(60):
        shared = [shared, shared]
    yield pickle.dumps([{"observations": shared, "actions": shared, "rewards": 0, "dones": True}])
    deep = {}
    for _ in range(400):
        deep = {"a": deep}
    yield pickle.dumps([{"observations": deep, "actions": [0.0], "rewards": 0, "dones": True}])
    frame = np.zeros((1, 64, 64, 3), np.uint8)
    one = {"observations": {"a": frame}, "actions": np.zeros(7), "rewards": 0, "dones": False}
    yield pickle.dumps([one] * 20_000)
    cyclic = []
    cyclic.append(cyclic)
    yield pickle.dumps(cyclic)
    yield pickle.dumps([{"observations": cyclic, "actions": cyclic, "rewards": cyclic}])


def test_small_files_that_ask_for_much(fast_path):
    for data in bombs():
        assert not pickled(fast_path / "demos.pkl", data, fast_path)


def test_content_that_is_no_list_of_transitions(fast_path):
    values = [None, 1, 1.5, "x", b"x", [], {}, (), set(), [1], ["x"], [None], [[]], [[1]], [[], []]]
    values += [{"actions": []}, {"actions": [[1.0]]}, [{}], [{"a": 1}], np.zeros(3), [np.zeros(3)]]
    values += [{"observations": 1, "actions": np.zeros((2, 7)), "rewards": np.zeros(2)}]
    values += [
        {"observations": {"s": np.zeros((1, 3))}, "actions": np.zeros((2, 7)), "rewards": [0]}
    ]
    values += [np.array([{"a": 1}], object), [{"observations": {}, "actions": {}, "rewards": {}}]]
    for value in values:
        for protocol in range(6):
            data = pickle.dumps(value, protocol=protocol)
            assert not pickled(fast_path / "demos.pkl", data, fast_path)


def test_mutated_hdf5(recorded, fast_path, malformed_round):
    """The library may crash on these; the process that imports must not."""
    path = recorded.robomimic(fast_path / "good.hdf5", demos=2, length=3, size=4)
    good, rng = path.read_bytes(), np.random.default_rng([10, malformed_round])
    mutated = fast_path / "demos.hdf5"
    reader.timeout_s = 2.0
    for case in range(500):
        # The first kilobytes hold the structure, the rest mostly values.
        head = 6000 if case % 3 else len(good)
        mutated.write_bytes(mutate(good[:head], rng) + good[head:])
        episodes_of(lambda: plan_robomimic(mutated, FACTS, OPTIONS), mutated, fast_path)


def hdf5_defects():
    """What makes one demo unusable."""

    def replacing(name, values):
        def change(demo):
            del demo[name]
            if values is not None:
                demo[name] = values

        return change

    for name in ("actions", "rewards", "dones", "obs/object", "obs/agentview_image"):
        yield replacing(name, None)
        for values in ([], [1.0], "text", b"x", np.nan, np.zeros((2, 2, 2)), [[np.inf] * 7] * 3):
            yield replacing(name, values)
        yield replacing(name, np.zeros((10, 3), "S4"))
        yield replacing(name, np.zeros(3, np.dtype([("a", "f4")])))
    yield lambda demo: demo.create_dataset("obs/huge", (2**20, 2**20), "f4", chunks=(64, 64))
    yield lambda demo: demo["obs"].__delitem__("object")


def test_every_defect_of_a_demo_is_found(recorded, fast_path):
    import h5py

    good = recorded.robomimic(fast_path / "good.hdf5", demos=2, length=3, size=4).read_bytes()
    path = fast_path / "demos.hdf5"
    for change in hdf5_defects():
        for name in ("demo_0", "demo_1"):
            path.write_bytes(good)
            with h5py.File(path, "r+") as file:
                change(file["data"][name])
            passed = episodes_of(lambda: plan_robomimic(path, FACTS, OPTIONS), path, fast_path)
            assert passed is None or passed <= 1
    with h5py.File(path, "w") as file:
        file["data"] = h5py.ExternalLink("/etc/passwd", "/")
    assert not episodes_of(lambda: plan_robomimic(path, FACTS, OPTIONS), path, fast_path)


def test_mutated_records(world, fast_path, malformed_round):
    """Records with a right checksum and wrong content, and torn ones; imported and validated."""
    directory = Path(open_dataset(world.dataset(fast_path / "arm", two(world))).directory)
    shard = sorted(directory.glob("*.tfrecord*"))[0]
    plan = plan_rlds(directory, FACTS, RldsOptions())
    dataset = open_dataset(directory)
    (refs, _) = locate_records(dataset)
    ref = next(iter(refs.values()))[0]
    payload = shard.read_bytes()[ref.offset + 12 : ref.offset + 12 + ref.size]
    rng = np.random.default_rng([11, malformed_round])
    damaged = fast_path / "damaged.tfrecord"
    job = WriteJob(plan.source, AsRead(plan.source.schema))
    checking = ValidateJob(dataset.schema, CheckOptions())
    for case in range(800):
        data = mutate(payload, rng)
        record = frame_record(data) if case % 4 else mutate(frame_record(payload), rng)
        damaged.write_bytes(record)
        part = one_part(RecordRef(str(damaged), 0, 0, len(data)))
        counted["cases"] += 2
        result = job.run(part, fast_path)
        assert result["episodes"] + result["bad"] == 1
        assert all(finding["file"] == str(damaged) for finding in result["findings"])
        assert checking.run(part, fast_path)


def test_mutated_info_and_features(world, fast_path, malformed_round):
    """Of a dataset that is imported or validated."""
    directory = Path(open_dataset(world.dataset(fast_path / "arm", two(world))).directory)
    rng = np.random.default_rng([12, malformed_round])
    for name in ("features.json", "dataset_info.json", "serlds.json"):
        good = (directory / name).read_bytes()
        for _ in range(130):
            (directory / name).write_bytes(mutate(good, rng))
            for use in (
                lambda: plan_rlds(directory, FACTS, RldsOptions()),
                lambda: open_dataset(directory),
            ):
                counted["cases"] += 1
                try:
                    use()
                except SerldsError as error:
                    assert str(directory) in str(error), error
        (directory / name).write_bytes(good)


def test_validate_names_what_is_damaged(world, fast_path, malformed_round):
    """The whole verb, on a few of the same."""
    good = Path(open_dataset(world.dataset(fast_path / "arm", two(world))).directory)
    rng = np.random.default_rng([13, malformed_round])
    for case in range(6):
        copied = fast_path / f"case_{case}" / "1.0.0"
        shutil.copytree(good, copied)
        name = ("arm-train.tfrecord-00000", "features.json", "dataset_info.json")[case % 3]
        path = copied / name
        data = path.read_bytes()
        path.write_bytes(data[: int(rng.integers(len(data)))])
        counted["cases"] += 1
        try:
            report = validate(copied)
        except SerldsError as error:
            assert str(copied) in str(error)
        else:
            assert report.exit_code == 1


def test_there_were_more_than_ten_thousand(request):
    ran = {item.originalname for item in request.session.items}
    if not {name for name in globals() if name.startswith("test_")} <= ran:
        pytest.skip("not all of this file was run")
    assert counted["cases"] > 10_000


def two(world):
    return [world.episode(index, actions=3) for index in range(2)]


def one_part(ref):
    (part,) = plan_parts({"train": [ref]})
    return part
