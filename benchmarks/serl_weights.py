"""New weights on their way to an actor, against SERL's (agentlace), on loopback.

The networks are those of `serl_learner.py`. Time: from the beginning of the learner's publication
to the moment at which the actor, another process, has them in its policy. Ours pass through the
replay server, a third process. Bytes: SERL's message, compressed; ours as counted by a relay before
the server, with all that the actor asks and is told meanwhile.

    python benchmarks/serl_weights.py --serl SERL --agentlace AGENTLACE --python SERL_ENV/bin/python

Bounds: half of SERL's time, a quarter of its bytes to an actor.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection

import numpy as np
import serl_peer
from learner_speed import replay_server
from relay import Relay
from serl_driver import ACTION_DIM, OBSERVATION_DIM

from serlds.training.policy import PackedPolicy, PolicySpec, policy_spec
from serlds.training.replay_items import ItemLayout
from serlds.training.replay_server import choose_port
from serlds.training.weights import WeightsPublisher, WeightsSubscriber

TIME_BOUND, BYTES_BOUND = 2.0, 4.0
PUBLICATIONS = 20
PAUSE_S = (0.1, 0.2)
TIMEOUT_S = 20.0


def act(address: str, spec: PolicySpec, news: Connection) -> None:
    """In a process of its own: an actor that tells when it has each publication in its policy."""
    import reverb

    subscriber, publication = WeightsSubscriber(reverb.Client(address)), 0
    news.send(None)
    while True:
        if weights := subscriber.wait(publication, TIMEOUT_S):
            PackedPolicy(spec, weights.policy)
            publication = weights.counters.publication
            news.send(time.monotonic())


class OurWeights:
    """A learner with an actor.

    Attributes:
        relays: Through which learner and actor reach the server; none where time is measured.
    """

    def __init__(self, address: str, spec: PolicySpec, counts_bytes: bool) -> None:
        """Starts the actor; `counts_bytes`: both reach the server through relays."""
        import reverb
        from serl_learner import new_agent

        self._agent = new_agent()
        port = int(address.rsplit(":", 1)[1])
        self.relays = [Relay(port) for _ in range(2 if counts_bytes else 0)]
        addresses = [f"127.0.0.1:{relay.port}" for relay in self.relays] or [address] * 2
        spawn = multiprocessing.get_context("spawn")
        self._news, theirs = spawn.Pipe()
        self._actor = spawn.Process(target=act, args=(addresses[1], spec, theirs), daemon=True)
        self._actor.start()
        self._publisher = WeightsPublisher(reverb.Client(addresses[0]))
        self._news.recv()

    def publish(self) -> float:
        """Seconds from the beginning of a publication to its use."""
        start_s = time.monotonic()
        policy = np.asarray(self._agent.packed_policy())
        average = np.asarray(self._agent.packed_evaluation_policy())
        self._publisher.publish(policy, average, updates=0, learned_steps=0)
        return self._news.recv() - start_s

    def bytes_passed(self) -> np.ndarray:
        """Bytes so far from the learner to the server, and from there to the actor."""
        learner, actor = self.relays
        return np.array([learner.to_target, actor.to_client])

    def close(self) -> None:
        """Ends the actor."""
        self._publisher.close()
        self._actor.kill()


@contextlib.contextmanager
def our_weights(counts_bytes: bool = False) -> Iterator[OurWeights]:
    """A replay server, a learner and an actor."""
    from serl_learner import SERL_SAC

    spec = policy_spec(SERL_SAC, OBSERVATION_DIM, ACTION_DIM)
    layout = ItemLayout(OBSERVATION_DIM, ACTION_DIM)
    with (
        replay_server(layout, spec.size) as (address, _),
        contextlib.closing(OurWeights(address, spec, counts_bytes)) as weights,
    ):
        yield weights


@contextlib.contextmanager
def serl_weights(options) -> Iterator[tuple[Callable[[], float], int]]:
    """A learner and an actor of SERL: (publication, seconds; bytes of a message)."""
    ports = {"port": choose_port(), "broadcast_port": choose_port()}
    with (
        serl_peer.peer(options, "publisher", **ports) as learner,
        serl_peer.peer(options, "subscriber", **ports) as actor,
    ):

        def publish() -> float:
            start_s = learner.ask("publish")["start_s"]
            swapped_s = actor.ask("wait", after_s=start_s, timeout_s=TIMEOUT_S)["swapped_s"]
            return swapped_s - start_s if swapped_s > start_s else TIMEOUT_S

        yield publish, learner.ask("message_bytes")


def turn(publish: Callable[[], float]) -> list[float]:
    """Seconds of some publications with pauses between them."""
    times = []
    for _ in range(PUBLICATIONS):
        time.sleep(random.uniform(*PAUSE_S))
        times.append(publish())
    return times


def main() -> int:
    """Measures; returns 1 when a bound is missed."""
    options = serl_peer.arguments(__doc__).parse_args()
    serl_peer.check(options)
    with our_weights() as ours, serl_weights(options) as (serl_publish, serl_bytes):
        turn(ours.publish), turn(serl_publish)  # both warm
        our_s, serl_s = [], []
        for _ in range(options.rounds):
            serl_s += turn(serl_publish)
            our_s += turn(ours.publish)
    with our_weights(counts_bytes=True) as ours:
        turn(ours.publish)
        before = ours.bytes_passed()
        turn(ours.publish)
        sent, received = (ours.bytes_passed() - before) / PUBLICATIONS
    for name, seconds in (("SERL", serl_s), ("serlds", our_s)):
        median, worst = statistics.median(seconds), max(seconds)
        print(f"publication to policy, {name:6s}: {1e3 * median:7.1f} ms (most {1e3 * worst:.1f})")
    print(f"to an actor, SERL  : {serl_bytes / 1e6:6.3f} MB, learner to actor")
    print(f"to an actor, serlds: {received / 1e6:6.3f} MB, after {sent / 1e6:.3f} MB to the server")
    time_ratio = statistics.median(serl_s) / statistics.median(our_s)
    bytes_ratio = serl_bytes / received
    print(f"ratio of times {time_ratio:.2f}, bound {TIME_BOUND:.1f}")
    print(f"ratio of bytes {bytes_ratio:.2f}, bound {BYTES_BOUND:.1f}")
    return 0 if time_ratio >= TIME_BOUND and bytes_ratio >= BYTES_BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
