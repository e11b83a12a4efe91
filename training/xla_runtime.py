"""What suits a frozen trunk on a CPU: the runtime of XLA, and the precision."""

from __future__ import annotations

import os
from pathlib import Path

from .config import AgentConfig, VICEConfig, encoder_of
from .network_config import Precision

_CPU = Path("/proc/cpuinfo")
_FLAG = "--xla_cpu_use_thunk_runtime=false"


def choose_cpu_runtime(agent: AgentConfig) -> None:
    """Has oneDNN compute the convolutions of frozen trunks; call it before jax computes anything.

    Of the runtimes in the jaxlib that this package asks for, the older one calls oneDNN: a frozen
    trunk takes three quarters of the time, in bfloat16 with AMX a third. It aborts in
    gradients of convolutions, so that agents with encoders of another kind keep the newer one.
    """
    encoders = [encoder_of(agent)]
    if isinstance(agent, VICEConfig):
        encoders.append(agent.classifier.encoder)
    kinds = {encoder.kind for encoder in encoders if encoder is not None}
    if kinds == {"frozen_resnet10"}:
        os.environ["XLA_FLAGS"] = f"{_FLAG} {os.environ.get('XLA_FLAGS', '')}".strip()


def fast_precision() -> Precision:
    """bfloat16 on CPUs that multiply in it by themselves (AMX), else float32."""
    return "bfloat16" if _CPU.is_file() and "amx_bf16" in _CPU.read_text() else "float32"
