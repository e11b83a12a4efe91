"""The verbs that bring in what people already have: `import`."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from ..datasets.errors import UsageError
from ..pipelines.importing.options import EpisodeFacts, TransitionOptions
from ..pipelines.importing.rlds_options import RldsOptions
from ..pipelines.lerobot.import_options import LeRobotImportOptions
from ..progress import progress_bar
from .arguments import BeamArgs, DestinationDir, Workers

SourceFile = Annotated[str, arg(metavar="SRC")]
Facts = Annotated[EpisodeFacts, arg(name="")]
Transitions = Annotated[TransitionOptions, arg(name="")]
Mapped = Annotated[RldsOptions, arg(name="")]
MaybeDestination = Annotated[str | None, arg(metavar="DESTINATION")]
_LEROBOT = LeRobotImportOptions()
_FACTS, _TRANSITIONS, _MAPPED = EpisodeFacts(), TransitionOptions(), RldsOptions()


def import_serl(
    source: Positional[SourceFile],
    destination: Positional[DestinationDir],
    facts: Facts = _FACTS,
    options: Transitions = _TRANSITIONS,
    workers: Workers = None,
    beam_args: BeamArgs = (),
) -> int:
    """Makes a dataset from demonstrations that SERL's scripts pickled.

    Reads a flat list of transitions, cut into episodes at `dones`, and a list of trajectories. The
    file is read without running what it may contain: numpy arrays and plain containers only. The
    dataset appears complete or not at all; bad episodes are listed in its dead_letters.jsonl.

    Args:
      source: demos.pkl, or a directory of such files.
      destination: Dataset directory that does not exist yet.
      facts: What the files do not say.
      options: How transitions become episodes.
      workers: Processes of the local runner; by default as many as there are cores, or fewer for
        little data.
      beam_args: Options for Beam.
    """
    return _import_pickles("import serl", source, destination, facts, options, workers, beam_args)


def import_hil_serl(
    source: Positional[SourceFile],
    destination: Positional[DestinationDir],
    facts: Facts = _FACTS,
    options: Transitions = _TRANSITIONS,
    workers: Workers = None,
    beam_args: BeamArgs = (),
) -> int:
    """Makes a dataset from demonstrations or buffers that HIL-SERL's scripts pickled.

    As `serlds import serl`; success, interventions and the grasp penalty are taken from `infos`
    where they are.

    Args:
      source: A pickle, or a directory of them, e.g. buffer/ of a checkpoint.
      destination: Dataset directory that does not exist yet.
      facts: What the files do not say.
      options: How transitions become episodes.
      workers: Processes of the local runner; by default as many as there are cores, or fewer for
        little data.
      beam_args: Options for Beam.
    """
    verb = "import hil-serl"
    return _import_pickles(verb, source, destination, facts, options, workers, beam_args)


def import_robomimic(
    source: Positional[SourceFile],
    destination: Positional[DestinationDir],
    facts: Facts = _FACTS,
    options: Transitions = _TRANSITIONS,
    workers: Workers = None,
    beam_args: BeamArgs = (),
) -> int:
    """Makes a dataset from HDF5 files of robomimic.

    Its masks `train` and `valid` become the splits train and val; task, robot, rate and action
    scale come from its `env_args`. The dataset appears complete or not at all; bad episodes are
    listed in its dead_letters.jsonl.

    Args:
      source: An HDF5 file, or a directory of them.
      destination: Dataset directory that does not exist yet.
      facts: What the files do not say.
      options: How transitions become episodes.
      workers: Processes of the local runner; by default as many as there are cores, or fewer for
        little data.
      beam_args: Options for Beam.
    """
    from ..datasets.paths import DatasetPath
    from ..pipelines.engine.output import check_absent
    from ..pipelines.importing.robomimic import plan_robomimic

    check_absent(DatasetPath.parse(destination).directory)
    plan = plan_robomimic(source, facts, options)
    return _run("import robomimic", plan, destination, (facts, options), workers, beam_args)


def import_rlds(
    source: Positional[SourceFile],
    destination: Positional[MaybeDestination] = None,
    facts: Facts = _FACTS,
    options: Mapped = _MAPPED,
    show: bool = False,
    workers: int = 1,
    beam_args: BeamArgs = (),
) -> int:
    """Makes a dataset of serlds from any other RLDS dataset, e.g. one of Open X-Embodiment.

    Fields are mapped by the names that published datasets use; --show prints the fields and that
    mapping, --map and --mapping change it. Episodes whose last step holds an action get one more
    step, in which the last observation is repeated. The dataset appears complete or not at all; bad
    episodes are listed in its dead_letters.jsonl.

    Args:
      source: Dataset directory.
      destination: Dataset directory that does not exist yet; not needed with --show.
      facts: What the source does not say.
      options: How fields become fields.
      show: Print the fields of the source and the proposed mapping, and import nothing.
      workers: Processes of the local runner.
      beam_args: Options for Beam.
    """
    from ..datasets.paths import DatasetPath
    from ..pipelines.engine.output import check_absent
    from ..pipelines.importing.rlds import plan_rlds
    from ..pipelines.importing.rlds import show as show_fields

    if show:
        print(show_fields(source))
        return 0
    if destination is None:
        raise UsageError("import rlds: DESTINATION is missing; --show alone needs none")
    check_absent(DatasetPath.parse(destination).directory)
    plan = plan_rlds(source, facts, options)
    return _run("import rlds", plan, destination, (facts, options), workers, beam_args)


def import_lerobot(
    source: Positional[SourceFile],
    destination: Positional[DestinationDir],
    options: Annotated[LeRobotImportOptions, arg(name="")] = _LEROBOT,
    workers: Workers = None,
    beam_args: BeamArgs = (),
) -> int:
    """Makes a dataset from one in LeRobot's format v3.0 (parquet and mp4).

    N frames become N actions; LeRobot does not keep the observation after the last one, so the last
    observation is repeated. Rewards, success and the end of an episode are taken where the dataset
    has them and are not made up: see --success. The dataset appears complete or not at all; bad
    episodes are listed in its dead_letters.jsonl.

    Args:
      source: Directory that holds meta/info.json.
      destination: Dataset directory that does not exist yet.
      options: What the dataset does not say.
      workers: Processes of the local runner; by default as many as there are cores, or fewer for
        little data.
      beam_args: Options for Beam.
    """
    from ..pipelines.lerobot.importing import import_lerobot as run

    with progress_bar("importing") as progress:
        done = run(
            source, destination, options, workers=workers, beam_args=beam_args, progress=progress
        )
    print(done.to_text())
    return done.exit_code


def _import_pickles(
    verb: str,
    source: str,
    destination: str,
    facts: EpisodeFacts,
    options: TransitionOptions,
    workers: int | None,
    beam_args: tuple[str, ...],
) -> int:
    from ..datasets.paths import DatasetPath
    from ..pipelines.engine.output import check_absent
    from ..pipelines.importing.pickles import plan_pickles

    check_absent(DatasetPath.parse(destination).directory)
    plan = plan_pickles(source, facts, options)
    return _run(verb, plan, destination, (facts, options), workers, beam_args)


def _run(
    verb: str,
    plan: Any,
    destination: str,
    options: tuple[Any, ...],
    workers: int | None,
    beam_args: tuple[str, ...],
) -> int:
    from ..pipelines.importing.plan import run_import

    given = {key: value for one in options for key, value in dataclasses.asdict(one).items()}
    given = {key: str(value) if isinstance(value, Path) else value for key, value in given.items()}
    transform = {"verb": verb, **given}
    with progress_bar("importing") as progress:
        done = run_import(
            plan, destination, transform, workers=workers, beam_args=beam_args, progress=progress
        )
    print(done.to_text())
    return done.exit_code


def import_encoder(
    source: Positional[Annotated[Path, arg(metavar="RESNET10.pkl")]],
    destination: Positional[Annotated[Path, arg(metavar="TRUNK.npz")]],
) -> int:
    """Makes the trunk of a frozen image encoder from SERL's pretrained ResNet-10.

    The pickle is read without running what it may contain; the result is NumPy's npz. Train with it
    by --agent.encoder.kind frozen_resnet10 --agent.encoder.trunk TRUNK.npz (with rlpd:
    --agent.sac.encoder...).

    Args:
      source: `resnet10_params.pkl` as SERL publishes it.
      destination: File that does not exist yet.
    """
    from ..pipelines.importing.safe_pickle import load_plain_pickle
    from ..training.encoder_import import write_trunk

    write_trunk(load_plain_pickle(source), source, destination)
    print(f"{destination}: the trunk of a ResNet-10")
    return 0
