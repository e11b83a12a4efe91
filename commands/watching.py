"""The verb that shows a run live: `watch`."""

import contextlib
from typing import Annotated

from tyro.conf import Positional, arg

from .arguments import RunDir


def watch(
    run: Positional[RunDir],
    port: int = 0,
    wandb: Annotated[str | None, arg(metavar="PROJECT")] = None,
) -> int:
    """Shows a run live in the browser until Ctrl-C; it may train, be resumed, or have ended.

    The page is for this machine alone (127.0.0.1). From another one: ssh -L 8000:127.0.0.1:8000
    HOST, with --port 8000 here, and http://localhost:8000/ there.

    Args:
      run: Directory of the run.
      port: Loopback port of the page; 0 takes any free one.
      wandb: Also copy the metrics to this project of Weights & Biases (pip install
        'serlds[wandb]'); WANDB_MODE=offline keeps them in RUN/wandb until `wandb sync`.
    """
    from ..training.wandb_mirror import WandbMirror
    from ..training.watching.server import WatchServer

    with contextlib.ExitStack() as stack:
        server = stack.enter_context(WatchServer(run, port))
        if wandb:
            stack.callback(WandbMirror(run, wandb).close)
        print(f"{run} is shown at {server.url}  (Ctrl-C ends this)", flush=True)
        server.serve_forever()
    return 0
