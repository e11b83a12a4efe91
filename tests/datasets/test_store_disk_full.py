"""A disk that is full, for real, costs the episode that did not fit and nothing else."""

import os
import resource
import subprocess

import pytest

from serlds.datasets.compaction import compact
from serlds.datasets.curation import drop_episodes, restore_episodes
from serlds.datasets.errors import StoreWriteError
from serlds.datasets.reading import open_dataset
from serlds.datasets.store import EpisodeStore

PAGE = 4096


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB of its own."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=False)
    if mount.returncode != 0:
        pytest.skip("this machine does not allow mounting")
    yield disk
    subprocess.run(["umount", disk], check=True)


def fill(disk, free_pages):
    """Leaves `free_pages` pages free on the disk."""
    filler = disk / "filler"
    filler.unlink(missing_ok=True)
    free = os.statvfs(disk)
    filler.write_bytes(bytes((free.f_bavail * free.f_frsize // PAGE - free_pages) * PAGE))


def test_a_full_disk_at_every_stage_of_an_append(small_disk, make_schema, make_episode):
    schema, dataset, recorded = make_schema(cameras=["front"]), small_disk / "pick_cube", 0
    failures = successes = 0
    with EpisodeStore.open(dataset, schema) as store:
        store.append(make_episode(schema, 0))
        recorded = 1
        for free_pages in range(12):
            fill(small_disk, free_pages)
            try:
                ordinal = store.append(make_episode(schema, recorded))
                assert ordinal == recorded
                recorded, successes = recorded + 1, successes + 1
            except StoreWriteError as error:
                assert "No space left" in str(error)
                assert f"the {recorded} episodes before it are intact" in str(error)
                failures += 1
            ids = [episode.episode_id for episode in open_dataset(dataset).episodes()]
            assert ids == [f"episode-{index:05d}" for index in range(recorded)]
            assert not list(store.directory.glob(".*.serlds-tmp"))
        assert failures > 2
        assert successes > 2
        (small_disk / "filler").unlink()
        assert store.append(make_episode(schema, recorded)) == recorded


def test_a_full_disk_at_every_stage_of_a_change(small_disk, make_schema, make_episode):
    schema, dataset = make_schema(cameras=["front"]), small_disk / "pick_cube"
    with EpisodeStore.open(dataset, schema) as store:
        for index in range(6):
            store.append(make_episode(schema, index))
    drop_episodes(dataset, ["5"])
    changes = {
        "drop": lambda: drop_episodes(dataset, ["0"]),
        "restore": lambda: restore_episodes(dataset, [], everything=True),
        "compact": lambda: compact(dataset),
    }
    for name, change in changes.items():
        for free_pages in range(60):
            before = {file: file.read_bytes() for file in dataset.rglob("*") if file.is_file()}
            fill(small_disk, free_pages)
            try:
                change()
            except StoreWriteError as error:
                assert "No space left" in str(error)
                assert free_pages < 59, f"{name} never succeeds"
                (small_disk / "filler").unlink()
                after = {file: file.read_bytes() for file in dataset.rglob("*") if file.is_file()}
                assert after == before
            else:
                assert free_pages > 2, f"{name} never failed"
                break
    (small_disk / "filler").unlink()
    ids = sorted(episode.episode_id for episode in open_dataset(dataset).episodes())
    assert ids == [f"episode-{index:05d}" for index in range(6)]


def test_opening_on_a_full_disk(small_disk, schema, make_episode):
    with EpisodeStore.open(small_disk / "pick_cube", schema) as store:
        store.append(make_episode(schema, 0))
    fill(small_disk, 0)
    for dataset in ("pick_cube", "other"):
        with pytest.raises(StoreWriteError, match=r"cannot be opened for recording: .*No space"):
            EpisodeStore.open(small_disk / dataset, schema)
    (small_disk / "filler").unlink()
    for dataset, episodes in (("pick_cube", 1), ("other", 0)):
        with EpisodeStore.open(small_disk / dataset, schema) as store:
            assert (store.num_episodes, store.notices) == (episodes, ())


def test_a_write_that_the_system_cuts_short(tmp_path, make_schema, make_episode):
    schema = make_schema(cameras=["front"], image_size=64)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with EpisodeStore.open(tmp_path / "pick_cube", schema) as store:
        store.append(make_episode(schema, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
        try:
            with pytest.raises(StoreWriteError, match=r"'episode-00001' .*File too large"):
                store.append(make_episode(schema, 1))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert open_dataset(tmp_path / "pick_cube").num_episodes == 1
        assert store.append(make_episode(schema, 2)) == 1


def test_a_directory_that_may_not_be_written(tmp_path, schema):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreWriteError, match="cannot be opened for recording"):
        EpisodeStore.open(tmp_path / "file" / "pick_cube", schema)
