"""A TCP relay on loopback that counts what passes."""

from __future__ import annotations

import contextlib
import socket
import threading


class Relay:
    """Accepts connections and passes them on.

    Attributes:
        port: Where it listens.
        to_client: Bytes that the target has sent.
        to_target: Bytes that clients have sent.
    """

    def __init__(self, target_port: int) -> None:
        """Starts to listen; its threads end with the process."""
        self._target = ("127.0.0.1", target_port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.to_client = self.to_target = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            try:
                target = socket.create_connection(self._target)
            except OSError:  # the target has ended; clients go on trying
                client.close()
                continue
            for source, sink in ((client, target), (target, client)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        to_target = sink.getpeername() == self._target
        with contextlib.suppress(OSError):  # either end is gone: so is the other's connection
            while data := source.recv(1 << 16):
                if to_target:
                    self.to_target += len(data)
                else:
                    self.to_client += len(data)
                sink.sendall(data)
        source.close()
        sink.close()
