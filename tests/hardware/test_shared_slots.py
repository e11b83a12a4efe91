import subprocess
import sys

import numpy as np
import pytest

from serlds.hardware.errors import RobotError
from serlds.hardware.shared_slots import SharedSlots

RECORD = np.dtype([("number", "i8"), ("numbers", "f8", (200,))])
OTHER = np.dtype([("word", "S5")])
WRITER = """
import sys, time
import numpy as np
from serlds.hardware.shared_slots import SharedSlots
dtype = np.dtype([("number", "i8"), ("numbers", "f8", (200,))])
slot, _ = SharedSlots(dtype, np.dtype([("word", "S5")]), fd=int(sys.argv[1])).slots
record = np.zeros(1, dtype)
end_s = time.monotonic() + 2.0
while time.monotonic() < end_s:
    record["number"] += 1
    record["numbers"] = record["number"]
    slot.write(record)
"""


def test_a_slot_is_empty_at_first_and_then_gives_copies_of_what_was_written():
    first, second = SharedSlots(RECORD, OTHER).slots
    assert not first.read()["numbers"].any()
    record = np.zeros(1, OTHER)
    record["word"] = b"hello"
    second.write(record)
    read = second.read()
    record["word"] = b"other"
    second.write(record)
    assert read["word"] == b"hello" and second.read()["word"] == b"other"
    assert not first.read()["numbers"].any()


def test_another_process_never_shows_half_a_record():
    shared = SharedSlots(RECORD, OTHER)
    slot, _ = shared.slots
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(shared.fd)], pass_fds=(shared.fd,))
    shared.close()
    seen = set()
    while writer.poll() is None:
        record = slot.read()[0]
        assert (record["numbers"] == record["number"]).all()
        seen.add(int(record["number"]))
    assert writer.returncode == 0
    assert len(seen) > 100


def test_a_writer_that_died_in_the_middle_is_told():
    slot, _ = SharedSlots(RECORD, OTHER).slots
    slot.write(np.zeros(1, RECORD))
    slot._count += np.uint64(1)  # as a writer leaves it that is killed while it writes
    with pytest.raises(RobotError, match="died"):
        slot.read()
