"""`serlds-beam-worker`: a worker process that a Beam runner on any machine can start.

Runners that run in other languages (Flink, Spark) start their Python workers by a command, with
`--environment_type=PROCESS`. This is that command; it speaks the contract of Beam's containers
(https://beam.apache.org/contribute/design-documents, "Fn API: how to start a container") in the
Python environment it is installed in. Unlike `--environment_type=LOOPBACK`, nothing listens.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

_CONNECT_S = 60.0


def main() -> None:
    """Asks the runner who this worker is and what its options are, then works until told to end."""
    parser = argparse.ArgumentParser(prog="serlds-beam-worker", description=__doc__)
    parser.add_argument("--id", required=True, help="what the runner calls this worker")
    parser.add_argument("--provision_endpoint", required=True, help="where the runner answers")
    parser.add_argument("--control_endpoint", default="", help="instead of the provisioned one")
    parser.add_argument("--logging_endpoint", default="", help="instead of the provisioned one")
    given, _ = parser.parse_known_args()  # the runner may name endpoints that are not needed here
    given.id = given.id.strip("'")  # Beam's Prism runner quotes it

    from apache_beam.runners.worker import sdk_worker_main

    os.environ |= _harness_environment(given)
    sdk_worker_main.main([])


def _harness_environment(given: argparse.Namespace) -> dict[str, str]:
    """The environment variables that Beam's Python harness reads."""
    from google.protobuf import json_format

    info = _provision_info(given.provision_endpoint, given.id)
    return {
        "WORKER_ID": given.id,
        "PIPELINE_OPTIONS": json_format.MessageToJson(info.pipeline_options),
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
        "CONTROL_API_SERVICE_DESCRIPTOR": _descriptor(
            given.control_endpoint or info.control_endpoint.url
        ),
        "LOGGING_API_SERVICE_DESCRIPTOR": _descriptor(
            given.logging_endpoint or info.logging_endpoint.url
        ),
    }


def _provision_info(endpoint: str, worker_id: str) -> Any:
    import grpc
    from apache_beam.portability.api import (
        beam_provision_api_pb2,
        beam_provision_api_pb2_grpc,
    )

    with grpc.insecure_channel(endpoint) as channel:
        provision = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
        answer = provision.GetProvisionInfo(
            beam_provision_api_pb2.GetProvisionInfoRequest(),
            metadata=[("worker_id", worker_id)],
            timeout=_CONNECT_S,
            wait_for_ready=True,
        )
    return answer.info


def _descriptor(url: str) -> str:
    from apache_beam.portability.api import endpoints_pb2
    from google.protobuf import text_format

    return text_format.MessageToString(endpoints_pb2.ApiServiceDescriptor(url=url))


if __name__ == "__main__":
    main()
