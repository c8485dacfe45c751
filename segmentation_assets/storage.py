"""Buckets: opening one, and what its errors mean. Which objects there are, and what for, is decided elsewhere."""

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obstore.store import LocalStore, S3Store

PATIENCE = timedelta(seconds=20)  # for a storage that does not answer
NEEDS = "needs the package obstore, which is not installed. Install it: pip install 'segmentation-assets[storage]'"
SIGNS = (  # 169.254.169.254 is where a machine is asked for its role
    ("NoSuchBucket", "has no such bucket. Create the bucket, or correct the address"),
    ("InvalidAccessKeyId", "does not know the key in AWS_ACCESS_KEY_ID. Correct it"),
    ("SignatureDoesNotMatch", "refuses the key in AWS_SECRET_ACCESS_KEY. Correct it"),
    (
        "169.254.169.254",
        "needs keys, and none are set. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role",
    ),
    ("403 Forbidden", "refuses these keys. Give their owner the right to list, read, write and delete there, or use others"),
    ("PermanentRedirect", "is in another region. Correct lake.region, or AWS_REGION in the environment"),
    ("301 Moved Permanently", "is in another region. Correct lake.region, or AWS_REGION in the environment"),
    ("error sending request", "does not answer. Check the address, lake.endpoint or AWS_ENDPOINT_URL, and the network"),
)
"""What the error of a storage says -> what it means, and the remedy."""


def bucket(url: str, endpoint: str | None = None, region: str | None = None) -> "S3Store":
    """The bucket at an address, below its prefix, with the keys of the environment or the machine's role.

    Args:
        endpoint, region: None: those of the environment.
    """
    import obstore.store  # an extra

    config = {name: value for name, value in (("endpoint", endpoint), ("region", region)) if value}
    address = endpoint or os.environ.get("AWS_ENDPOINT_URL", "")
    return obstore.store.S3Store.from_url(
        url,
        config=config,  # type: ignore[arg-type]  # a dictionary of these names
        client_options={"allow_http": address.startswith("http://"), "connect_timeout": PATIENCE},
        retry_config={"max_retries": 3, "retry_timeout": PATIENCE},
    )


def download(store: "S3Store | LocalStore", name: str, file: Path) -> None:
    """Write an object into a file, a part at a time."""
    import obstore  # an extra

    with file.open("wb") as opened:
        for part in obstore.get(store, name).stream():
            opened.write(part)


def in_words(error: BaseException) -> str:
    """What a storage's error says, and the remedy, without what the libraries add for programmers."""
    text = str(error)
    if told := next((told for sign, told in SIGNS if sign in text), None):
        return f"{told}."
    return f"{text.splitlines()[0][:300]}. Check the address, the keys and the network."
