"""PostgreSQL over a long line: a primary, and a synchronous standby behind a relay."""

from __future__ import annotations

import shutil
import signal
import socket
import time
from pathlib import Path

from benchmarks.peers.postgres import Postgres
from benchmarks.processes import Failed, Process, run
from benchmarks.regions.roads import Roads

CLIENTS = 64
_HERE, _FAR = "primary", "standby"
_STREAMING_S = 60.0
_POLL_S = 0.05


class PostgresWan(Postgres):
    """Its clients are beside the primary; it answers when the standby has the commit on disk."""

    name = "postgres-wan"

    def __init__(self, folder: Path, rtt_ms: float) -> None:
        port = _free_port()
        self._roads = Roads((_HERE, _FAR), rtt_ms)
        self._roads.aim(_HERE, f"127.0.0.1:{port}")
        self._standby: Process | None = None
        more = {
            "listen_addresses": "'127.0.0.1'",
            "port": str(port),
            "wal_level": "replica",
            "max_wal_senders": "4",
            # Its throughput is the round trip's: a log in its steady state changes nothing.
            "min_wal_size": "256MB",
        }
        super().__init__(folder, "primary", more=more, port=port, wal_segments=0)
        try:
            self._follow()
        except BaseException:
            self.stop()
            raise

    def _follow(self) -> None:
        """Copy the cluster, let the copy follow through the relay, and wait for it from now on."""
        data = self._folder / "standby"
        copy = (str(self._programs / "pg_basebackup"), *self._door, "-D", str(data), "-c", "fast")
        run(copy, user=self._user)
        host, _, port = self._roads.way(_FAR, _HERE).rpartition(":")
        sockets = self._folder / "far"
        sockets.mkdir()
        if self._user:
            shutil.chown(sockets, self._user)
        with (data / "postgresql.conf").open("a") as file:
            file.write(f"primary_conninfo = 'host={host} port={port} user=bench application_name={_FAR}'\n")
            file.write(f"listen_addresses = ''\nunix_socket_directories = '{sockets}'\n")
        (data / "standby.signal").touch()
        if self._user:
            shutil.chown(data / "standby.signal", self._user)
        self._standby = Process((str(self._programs / "postgres"), "-D", str(data)), user=self._user)
        self._standby.wait_for("started streaming", _STREAMING_S)
        self._sql(f"ALTER SYSTEM SET synchronous_standby_names = '{_FAR}';")
        self._sql("SELECT pg_reload_conf();")
        until = time.monotonic() + _STREAMING_S
        while self._sql("SELECT sync_state FROM pg_stat_replication;").strip() != "sync":
            if time.monotonic() > until:
                raise Failed(f"the standby was not synchronous within {_STREAMING_S:g} s")
            time.sleep(_POLL_S)

    def pause(self) -> None:
        super().pause()
        if self._standby is not None:
            self._standby.pause()

    def resume(self) -> None:
        if self._standby is not None:
            self._standby.resume()
        super().resume()

    def stop(self) -> None:
        # The primary waits for its standby when it ends in order: so that one goes on until then.
        super().stop()
        if self._standby is not None:
            self._standby.stop(signal.SIGINT)
        self._roads.close()


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
