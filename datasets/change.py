"""Several files of a dataset replaced as one: after a crash the change is done or undone, not half.

The new files are written under `.change/`, then `.change/intent.json`, which is the commit point,
then each file takes its place. A crash before the intent leaves the dataset as it was; after it,
whoever opens the dataset next finishes the change, which may be done any number of times.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .durable_files import create_directory, sync_directory, write_durably
from .errors import DamagedDatasetError, StoreLockedError, StoreWriteError
from .store_lock import StoreLock
from .untrusted import check_inside, check_no_link

CHANGE_DIRECTORY = ".change"
INTENT_FILE = "intent.json"
_READERS_WAIT_S = 30.0
_POLL_S = 0.05


class Change:
    """The files that shall be replaced and removed; begun with `changing`."""

    def __init__(self, directory: Path, what: str):
        self._directory = directory
        self._staging = directory / CHANGE_DIRECTORY
        self._what = what
        self._replaced: list[str] = []
        self._removed: list[str] = []

    @contextlib.contextmanager
    def replacing(self, name: str) -> Iterator[BinaryIO]:
        """A file to write; it becomes `<directory>/<name>`, in the order in which files were begun.

        Args:
          name: relative to the dataset's directory, at most one folder deep.

        Raises:
          DamagedDatasetError: that folder is a link to somewhere else.
        """
        check_inside(self._directory, name)
        path = self._staging / name
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        self._replaced.append(name)

    def staged(self, name: str) -> Path:
        """Where the new content of `name` lies until the change is made."""
        return self._staging / name

    def remove(self, name: str) -> None:
        """Notes a file that is to go when all others are in place."""
        check_inside(self._directory, name)
        self._removed.append(name)

    def commit(self) -> None:
        """Makes the change durable: from here on it happens, whatever becomes of the process."""
        for name in {Path(name).parent for name in self._replaced}:
            sync_directory(self._staging / name)
            create_directory(self._directory / name)
        sync_directory(self._staging)
        intent = {"what": self._what, "replace": self._replaced, "remove": self._removed}
        write_durably(self._staging / INTENT_FILE, json.dumps(intent).encode())


@contextlib.contextmanager
def changing(directory: Path, what: str) -> Iterator[Change]:
    """A change of a dataset, made when the block ends without an error and else not at all.

    Args:
      directory: of the dataset, whose lock the caller holds.
      what: for people, in the past tense: "3 episodes were dropped".

    Raises:
      StoreWriteError: the operating system refused to write; the message says whether nothing
        changed or the change is to be finished.
    """
    finish_change(directory)
    change = Change(directory, what)
    staging = directory / CHANGE_DIRECTORY
    try:
        create_directory(staging)
        yield change
        change.commit()
        finish_change(directory)
    except BaseException as error:
        is_committed = (staging / INTENT_FILE).exists()
        if not is_committed:
            shutil.rmtree(staging, ignore_errors=True)
        if isinstance(error, OSError):
            outcome = (
                "the change is noted and `serlds recover` finishes it"
                if is_committed
                else "nothing was changed"
            )
            raise StoreWriteError(
                f"{directory}: could not be written: {error}; {outcome}"
            ) from error
        raise


def finish_change(directory: Path) -> str:
    """Finishes a change that was committed, or removes what one staged that was not.

    Args:
      directory: of the dataset, whose lock the caller holds.

    Returns:
      What the finished change was; empty where there was none to finish.

    Raises:
      DamagedDatasetError: the intent cannot be read, or names files outside of the dataset.
      OSError: as the operating system reports it; the next call goes on.
    """
    staging = directory / CHANGE_DIRECTORY
    check_no_link(staging)
    intent = _read_intent(staging / INTENT_FILE)
    if intent:
        for name in (*intent["replace"], *intent["remove"]):
            check_inside(directory, name)
        for name in intent["replace"]:
            with contextlib.suppress(FileNotFoundError):  # it took its place before a crash
                (staging / name).replace(directory / name)
        _sync(directory, intent["replace"])
        for name in intent["remove"]:
            (directory / name).unlink(missing_ok=True)
        _sync(directory, intent["remove"])
        (staging / INTENT_FILE).unlink()
        sync_directory(staging)
    if staging.is_dir():
        shutil.rmtree(staging)
    return intent["what"] if intent else ""


def finish_for_reading(directory: Path) -> None:
    """Lets a reader see no change half-done: waits for one under way, finishes an interrupted one.

    Raises:
      StoreLockedError: a change is under way and takes long.
      DamagedDatasetError: an interrupted change cannot be finished from here.
    """
    deadline = time.monotonic() + _READERS_WAIT_S
    while (directory / CHANGE_DIRECTORY / INTENT_FILE).exists():
        try:
            lock = StoreLock(directory)
        except StoreLockedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_S)
            continue
        except OSError as error:
            raise DamagedDatasetError(_unfinished(directory, error)) from error
        try:
            finish_change(directory)
        except OSError as error:
            raise DamagedDatasetError(_unfinished(directory, error)) from error
        finally:
            lock.release()


def _unfinished(directory: Path, error: OSError) -> str:
    return (
        f"{directory}: a change of this dataset was interrupted and cannot be finished from here: "
        f"{error}; run `serlds recover {directory}` where it may be written"
    )


def _read_intent(path: Path) -> dict | None:
    try:
        intent = json.loads(path.read_bytes())
        return {"what": intent["what"], "replace": intent["replace"], "remove": intent["remove"]}
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedDatasetError(
            f"{path}: the note of an interrupted change cannot be read: {error}; its new files lie "
            f"in {path.parent}"
        ) from error


def _sync(directory: Path, names: list[str]) -> None:
    for folder in sorted({Path(name).parent for name in names}):
        if (directory / folder).is_dir():
            sync_directory(directory / folder)
