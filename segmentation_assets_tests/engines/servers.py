"""Engines that speak Spark Connect, started for a test."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from segmentation_assets_tests.conftest import ROOT

SPARK = ROOT / ".spark" / "pyspark"  # where `make full` puts Spark itself


@contextmanager
def sail() -> Iterator[str]:
    """The address of Sail, an engine without Java that runs in this process."""
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    yield f"sc://127.0.0.1:{server.listening_address[1]}"
    server.stop()


@contextmanager
def sail_of_its_own() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address of Sail in a process of its own, which a test may end at any time, and the process."""
    port = _free_port()
    start = f"from pysail.spark import SparkConnectServer as S; S('127.0.0.1', {port}).start(background=False)"
    with subprocess.Popen([sys.executable, "-c", start], stderr=subprocess.DEVNULL) as server:
        try:
            _await(port)
            yield f"sc://127.0.0.1:{port}", server
        finally:
            server.kill()


@contextmanager
def spark_with_two_executors() -> Iterator[str]:
    """The address of Spark, with two executors in processes of their own."""
    port = _free_port()
    settings = {
        "spark.connect.grpc.binding.port": str(port),
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
    }
    service = "org.apache.spark.sql.connect.service.SparkConnectServer"
    given = [argument for name, value in settings.items() for argument in ("--conf", f"{name}={value}")]
    command = [SPARK / "bin" / "spark-submit", "--master", "local-cluster[2,1,1024]", "--class", service, *given, "spark-internal"]
    with subprocess.Popen(command, env={**os.environ, "SPARK_HOME": str(SPARK)}) as server:
        try:
            _await(port)
            yield f"sc://127.0.0.1:{port}"
        finally:
            server.terminate()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _await(port: int) -> None:
    """Wait until something listens there."""
    for _ in range(3000):  # a busy machine takes minutes
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
