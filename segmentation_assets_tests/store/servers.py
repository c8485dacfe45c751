"""A local S3 server for tests: moto, in this process, on 127.0.0.1 and with keys that it does not look at."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}
BUCKET = "lakes"


@contextmanager
def s3() -> Iterator[str]:
    """The server's address; it has the bucket BUCKET. KEYS must be in the environment of who asks it."""
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer  # takes a second to import

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        _create(endpoint)
        yield endpoint
    finally:
        server.stop()


def _create(endpoint: str) -> None:
    import boto3

    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=endpoint, **keys).create_bucket(Bucket=BUCKET)
