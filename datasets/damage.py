"""Finding what of a damaged shard is whole: records behind a damaged one are found again."""

from __future__ import annotations

import dataclasses
import mmap
from collections.abc import Callable, Iterator
from pathlib import Path

from .errors import DamagedDatasetError
from .reading import Shard
from .records import payload_length, read_record_at

_HEADER_BYTES = 12
_FRAME_BYTES = 16
_MAX_LENGTH = 2**31


@dataclasses.dataclass(frozen=True)
class ShardDamage:
    """A shard that does not hold what it should.

    Attributes:
      shard: which one.
      whole: how many whole records it holds.
      messages: what is wrong, each naming the file and the record.
    """

    shard: Shard
    whole: int
    messages: tuple[str, ...]

    @property
    def lost(self) -> int:
        """How many episodes cannot be read any more."""
        return max(0, self.shard.num_episodes - self.whole)


def find_damage(shard: Shard) -> ShardDamage | None:
    """Reads a whole shard and checks each record against its CRC; None where all is well."""
    if not shard.path.is_file():
        message = f"{shard.path}: the file is missing, with its {shard.num_episodes} episode(s)"
        return ShardDamage(shard, 0, (message,))
    messages: list[str] = []
    whole = sum(1 for _ in whole_records(shard.path, messages.append))
    if not messages and whole != shard.num_episodes:
        messages.append(
            f"{shard.path}: expected {shard.num_episodes} records as dataset_info.json says, "
            f"found {whole}"
        )
    return ShardDamage(shard, whole, tuple(messages)) if messages else None


def whole_records(path: Path, problem: Callable[[str], None]) -> Iterator[bytes]:
    """The payloads of all whole records of a TFRecord file; `problem` is told of the others.

    Behind damage the next record is found by a header whose checksum is right.
    """
    size, offset, index = path.stat().st_size, 0, 0
    while offset < size:
        try:
            payload = read_record_at(path, offset)
        except DamagedDatasetError as error:
            problem(f"record {index}: {error}")
            offset = _next_record(path, offset, size)
        else:
            yield payload
            offset += _FRAME_BYTES + len(payload)
        index += 1


def _next_record(path: Path, offset: int, size: int) -> int:
    """Where the next record begins behind a damaged one at `offset`; `size` if there is none."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        length = payload_length(data[offset : offset + _HEADER_BYTES])
        if length is not None and offset + _FRAME_BYTES + length <= size:
            return offset + _FRAME_BYTES + length
        # A header begins with a length below 2^31 as 8 bytes, of which the last four are zero.
        zeros = data.find(b"\0\0\0\0", offset + 5)
        while zeros != -1:
            start = zeros - 4
            length = payload_length(data[start : start + _HEADER_BYTES])
            if length is not None and 0 < length < _MAX_LENGTH:
                return start
            zeros = data.find(b"\0\0\0\0", zeros + 1)
    return size
