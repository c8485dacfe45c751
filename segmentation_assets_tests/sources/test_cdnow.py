"""CDNOW against its published figures: 23,570 customers, 69,659 rows, 2,500,315.63 in total, 1997-01-01 to 1998-06-30."""

import datetime as dt
import importlib.util
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from segmentation_assets.core.customers import cleaning
from segmentation_assets.settings.loading import load_settings
from segmentation_assets_tests.sources.conftest import FOREVER

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def cdnow(pytestconfig: pytest.Config) -> Path:
    """The file, downloaded once into pytest's cache folder."""
    specification = importlib.util.spec_from_file_location("fetch_cdnow", ROOT / "examples" / "fetch_cdnow.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.fetch(Path(pytestconfig.cache.mkdir("cdnow")))


def test_the_source_has_the_published_figures(opened: Any, cdnow: Path) -> None:
    settings = load_settings(ROOT / "examples" / "cdnow.yaml")
    described = settings.source.transactions[0].model_copy(update={"files": str(cdnow)}).model_dump(exclude_defaults=True)
    source = opened(transactions=described)
    judged = cleaning.judged_transactions(source.source.transactions(source.engine, FOREVER), settings.cleaning)
    clean = judged.kept()
    (figures,) = source.engine.rows(
        clean.agg(
            rows=clean.count(),
            customers=clean.customer_id.nunique(),
            total=clean.amount.sum(),
            first=clean.ordered_at.min(),
            last=clean.ordered_at.max(),
        )
    )
    assert figures == {
        "rows": 69_659,
        "customers": 23_570,
        "total": Decimal("2500315.6300"),
        "first": dt.datetime(1997, 1, 1),
        "last": dt.datetime(1998, 6, 30),
    }
