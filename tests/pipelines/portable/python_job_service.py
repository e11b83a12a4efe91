"""Runs Beam's own job service, which is written in Python, in reach of this machine only.

Beam binds the ports between the service and its workers to all network interfaces; here they are
bound to the loopback one. Usage: `python python_job_service.py PORT_FILE`.
"""

import signal
import sys

import grpc


def _serve_loopback_only():
    create_server = grpc.server

    def create(*args, **kwargs):
        server = create_server(*args, **kwargs)
        bind = server.add_insecure_port
        server.add_insecure_port = lambda address: bind(address.replace("[::]", "localhost"))
        return server

    grpc.server = create


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    _serve_loopback_only()
    from apache_beam.runners.portability import local_job_service_main

    local_job_service_main.run([f"--port_file={sys.argv[1]}"])
