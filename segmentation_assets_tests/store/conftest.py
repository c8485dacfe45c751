"""What tests of publishing share: a data folder, short rows, and how to publish and ask."""

import pytest

from segmentation_assets.store import database_files
from segmentation_assets.store.published import publish_snapshot, reading
from segmentation_assets_tests.builders import put_snapshot


@pytest.fixture
def data_dir(lake):
    return lake.root.parent


@pytest.fixture
def database(data_dir):
    return data_dir / database_files.DATABASE


def segment(name, segment_id=1):
    return {"segment_id": segment_id, "segment_name": name}


def make(lake, key, fingerprint="f", **rows):
    put_snapshot(lake, key, **rows)
    return publish_snapshot(lake, lake.root.parent, key, fingerprint)


def ask(data_dir, query):
    with reading(data_dir) as connection:
        return connection.sql(query).fetchall()


NAMES = "SELECT CAST(snapshot_date AS VARCHAR), segment_name FROM segments ORDER BY ALL"


LINES = "SELECT order_id FROM transactions ORDER BY ALL"


def line(order: str) -> dict[str, object]:
    """A row of the cleaned order lines."""
    return {"order_id": order}
