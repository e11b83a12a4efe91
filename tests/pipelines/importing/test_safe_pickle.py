"""Reading pickles that hold data and nothing else."""

import collections
import os
import pickle

import numpy as np
import pytest

from serlds.datasets.errors import DamagedDatasetError, DatasetNotFoundError
from serlds.pipelines.importing.safe_pickle import UnsafePickleError, load_plain_pickle

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def load(tmp_path, data):
    path = tmp_path / "demos.pkl"
    path.write_bytes(data)
    return load_plain_pickle(path)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_values_come_back(tmp_path, protocol):
    value = {
        "numbers": [0, -1, 255, 65536, 2**70, -(2**40), 1.5, float("inf"), True, False, None, 1j],
        "texts": ["", "naïve\n", "x" * 3000, b"", b"\x00\xff", b"y" * 3000],
        "containers": [(), (1,), (1, 2, 3, 4), [], {}, {1, 2}, frozenset("ab"), {(1, "a"): [2]}],
        "ordered": collections.OrderedDict(b=1, a=2),
    }
    shared = [1]
    value["shared"] = [shared, shared]
    read = load(tmp_path, pickle.dumps(value, protocol=protocol))
    assert read == value
    assert list(read["ordered"]) == ["b", "a"]
    assert read["shared"][0] is read["shared"][1]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.arange(3, dtype=">f8"),
        np.array(2.5),
        np.zeros((0, 4), np.uint8),
        np.array([True, False]),
        np.array(["ab", "c"]),
        np.array(["a", 1, None], object),
        np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8),
    ],
    ids=str,
)
def test_arrays_come_back(tmp_path, protocol, array):
    (read,) = load(tmp_path, pickle.dumps([array], protocol=protocol))
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_numpy_scalars_come_back(tmp_path, protocol):
    value = [np.float32(1.5), np.bool_(True), np.int64(-3), np.float64("nan")]
    read = load(tmp_path, pickle.dumps(value, protocol=protocol))
    assert [type(one) for one in read] == [type(one) for one in value]
    np.testing.assert_array_equal(read, value)


def test_new_places_in_numpy_are_known(tmp_path):
    data = pickle.dumps([np.arange(3.0), np.float32(2)], protocol=2)
    read = load(tmp_path, data.replace(b"numpy.core.multiarray", b"numpy._core.multiarray"))
    np.testing.assert_array_equal(read[0], [0, 1, 2])
    assert read[1] == 2


def test_arrays_of_jax_become_those_of_numpy(tmp_path):
    # What `pickle.dumps(jax.numpy.arange(3.0))` calls, without importing jax here.
    array = np.arange(3, dtype=np.float32)
    function, arguments, state = array.__reduce__()

    class FromJax:
        def __reduce__(self):
            return pickle.loads, (function, arguments, state, {"weak_type": False})

    data = pickle.dumps(FromJax(), protocol=2)
    head, module, name, rest = data[:2], *data[2:].split(b"\n", 2)
    assert (module, name) == (b"cpickle", b"loads")
    data = b"\n".join((head + b"cjax._src.array", b"_reconstruct_array", rest))
    np.testing.assert_array_equal(load(tmp_path, data), array)


def test_large_arrays_are_views_of_the_file(tmp_path):
    (read,) = load(tmp_path, pickle.dumps([np.zeros(10**6, np.uint8)]))
    assert not read.flags.owndata
    assert not read.flags.writeable


class Calls:
    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


class Thing:
    pass


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("value", "named"),
    [
        (Calls(os.system, "exit 1"), "posix.system"),
        (Calls(np.zeros, (3,)), "zeros"),
        (Thing(), "class|copyreg|copy_reg|Thing"),
        (np.zeros(2, np.dtype([("a", "f4")])), "dtype"),
        (np.array(["2026-01-01"], "M8[D]"), "M8"),
        (np.ma.masked_array([1.0]), "numpy.ma"),
        ({(1, (2, 3)): 4}, "key"),
    ],
    ids=["system", "numpy function", "object", "fields", "dates", "subclass", "nested key"],
)
def test_what_is_not_plain_is_refused_by_name(tmp_path, protocol, value, named):
    with pytest.raises(UnsafePickleError, match=named) as refused:
        load(tmp_path, pickle.dumps([value], protocol=protocol))
    assert "demos.pkl" in str(refused.value)
    assert "byte" in str(refused.value)


@pytest.mark.parametrize("data", [b"", b"\x80", b"not a pickle", b"]", b"\x80\x04]\x94."[:-1]])
def test_what_is_no_pickle_says_so(tmp_path, data):
    with pytest.raises(DamagedDatasetError, match=r"demos\.pkl"):
        load(tmp_path, data)


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(DatasetNotFoundError, match=r"nothing\.pkl"):
        load_plain_pickle(tmp_path / "nothing.pkl")
