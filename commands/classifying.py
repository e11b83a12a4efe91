"""The verb that makes a judge of success: `train classifier`."""

from typing import Annotated

from tyro.conf import arg

from ..progress import progress_bar
from ..training.classifier_config import ClassifierTraining
from .arguments import DatasetDirs, MaybeInt, RunDir

_DEFAULTS = ClassifierTraining()


def train_classifier(
    out: RunDir,
    data: DatasetDirs = (),
    cameras: Annotated[tuple[str, ...] | None, arg(metavar="CAMERA ...")] = None,
    image_size: MaybeInt = None,
    seed: int = 0,
    allow_unvalidated: bool = False,
    settings: Annotated[ClassifierTraining, arg(name="")] = _DEFAULTS,
) -> int:
    """Trains a classifier that tells from an observation whether the task is achieved.

    Episodes recorded with `serlds record --label success|failure` are that in all of their frames;
    of any other, the last frame of a successful one shows success and all others do not. Some of
    the episodes are held out to measure it: accuracy and a table are printed, the worst mistakes go
    into OUT/mistakes.png. OUT is then what `--reward classifier:OUT` of `record` and `train`, and
    `convert --apply classify_reward:classifier=OUT`, judge by, with NumPy alone.

    Args:
      out: Directory of the new classifier.
      data: Datasets of examples.
      cameras: Cameras that it sees, by default all of the first dataset's; give the flag without a
        value for none: then it looks at the state alone.
      image_size: Height and width of the images that it sees; others are resized. By default those
        of the first dataset.
      seed: Seed of the networks, of the batches and of what is held out.
      allow_unvalidated: Learn also from datasets that `serlds validate` has not seen as they are
        now, or in which it has found errors.
      settings: Hyper-parameters.
    """
    from ..training.classifying.train import train_classifier as run

    with progress_bar("training", "updates") as progress:
        result = run(
            settings,
            data,
            out,
            cameras=cameras,
            image_size=image_size,
            seed=seed,
            allow_unvalidated=allow_unvalidated,
            progress=progress,
        )
    print(result)
    return 0
