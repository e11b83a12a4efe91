"""The verbs that go through everything: `quickstart`, `doctor`."""

from .arguments import MaybePath


def quickstart(out: MaybePath = None, seed: int = 0) -> int:
    """Goes once through the whole loop and shows what happened.

    Records 20 demonstrations of a simulated WidowX AI arm picking up a cube, validates and converts
    them, trains behaviour cloning and RLPD on them, evaluates both on 100 fresh episodes, exports
    an RT-X dataset and writes report.html. Exit code 1 when RLPD stays under 95 % success.

    Args:
      out: Directory for everything that is made; by default ./serlds-runs/quickstart-<time>.
      seed: Seed of demonstrations, training and evaluation.
    """
    from ..quickstart import run_quickstart

    return run_quickstart(out, seed)


def doctor() -> int:
    """Checks this machine and says how to mend what is wrong.

    Prints versions, renders an image, starts a Reverb server, runs a Beam pipeline, lists devices
    and free disk space. Exit code 1 when something is wrong.
    """
    from ..doctor import examine

    return examine()
