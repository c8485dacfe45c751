"""Removes what is old from the data folder: databases that were set aside, source rows out of use, and reports of older snapshots.

`defs.retention` removes Dagster's records. The tables of the lake, the models, and published snapshots stay.
"""

import datetime as dt
import shutil
from pathlib import Path

from segmentation_assets.settings.retention import Retention
from segmentation_assets.sources.intake import unused
from segmentation_assets.vocabulary import counted

SET_ASIDE = "segmentation.kept-*.duckdb*"


def tidied(data_dir: Path, retention: Retention, now: dt.datetime) -> list[str]:
    """Remove what is older than the settings allow; return a sentence on each kind that was removed."""
    said = []
    if retention.set_aside and (files := _older(data_dir, now - dt.timedelta(days=retention.set_aside))):
        for file in files:
            file.unlink(missing_ok=True)
        said.append(f"{counted(len(files), 'database')} set aside more than {counted(retention.set_aside, 'day')} ago")
    if retention.intake and (files := unused(data_dir / "intake", now - dt.timedelta(days=retention.intake))):
        freed = sum(file.stat().st_size for file in files)
        for file in files:
            file.unlink(missing_ok=True)
        said.append(f"{freed / 1e6:,.1f} MB of source rows not used for more than {counted(retention.intake, 'day')}")
    if retention.reports and (folders := _reports(data_dir)[: -retention.reports]):
        for folder in folders:
            shutil.rmtree(folder)
        said.append(f"{counted(len(folders), 'report')} of snapshots before the newest {retention.reports}")
    return said


def _older(data_dir: Path, before: dt.datetime) -> list[Path]:
    return [file for file in data_dir.glob(SET_ASIDE) if file.stat().st_mtime < before.timestamp()]


def _reports(data_dir: Path) -> list[Path]:
    """Folders of reports, oldest snapshot first; other folders there are left alone."""
    return sorted(page.parent for page in (data_dir / "reports").glob("[0-9]*-[0-9]*-[0-9]*/index.html"))
