"""Engines that speak Spark Connect, started for a test."""

import os
import socket
import subprocess
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
def spark_with_two_executors() -> Iterator[str]:
    """The address of Spark, with two executors in processes of their own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
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
            for _ in range(600):  # a busy machine takes minutes
                with socket.socket() as tried:
                    if tried.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.5)
            yield f"sc://127.0.0.1:{port}"
        finally:
            server.terminate()
