"""Pages of what other machines made."""

from pathlib import Path

import pytest

from segmentation_assets.report import report
from segmentation_assets.report.fetching import fetch
from segmentation_assets.store import sharing
from segmentation_assets_tests.builders import D1, D2, LOADED


def test_a_page_of_a_snapshot_that_was_fetched_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, written = LOADED.model_copy(update={"data_dir": tmp_path}), []
    page = report.file(tmp_path, D1)
    page.parent.mkdir(parents=True)
    page.write_text("former figures")
    monkeypatch.setattr(sharing, "refresh", lambda settings: sharing.Refreshed(None, (D1, D2)))
    monkeypatch.setattr(report, "write", lambda data_dir, key, words: written.append(key))
    assert fetch(settings).keys == (D1, D2)
    assert written == [D1]  # D2 has no page here
