"""Lost or damaged parts of the data folder are rebuilt from the rest or reported with the remedy; no snapshot is lost silently."""

import datetime as dt
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from segmentation_assets.core.model.rows import model_to_rows
from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.store import archive, database_files, health, provenance, published, restoring
from segmentation_assets.store.health import State
from segmentation_assets.store.lake import opened
from segmentation_assets.store.retention import SET_ASIDE
from segmentation_assets_tests.builders import D1, D2, D3, LOADED, put, put_snapshot
from segmentation_assets_tests.sources.conftest import opened_in
from segmentation_assets_tests.store.test_archive import ASK, FIRST, POPULATION, SECOND, SHOP, V1

KINDS: dict[str, Callable[[Path], object]] = {
    "removed": lambda file: file.unlink(),
    "emptied": lambda file: file.write_bytes(b""),
    "cut": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "overwritten": lambda file: file.write_bytes(b"\xff" * file.stat().st_size),
}
PRIVATE = Path(database_files.PRIVATE)
PAGE, HEADERS = 262_144, 3 * 4_096  # bytes of DuckDB's files
LINES_OF_D1 = PRIVATE / "transactions" / f"snapshot_date={D1}" / "part-0.parquet"
DATABASES = (Path(database_files.DATABASE), PRIVATE / database_files.MASTER)
PARTS = {
    "public file": DATABASES[:1], "master": DATABASES[1:], "both": DATABASES, "record": (PRIVATE / provenance.FILE,),
    "marks": (PRIVATE / database_files.AS_PUBLISHED, PRIVATE / database_files.PLACE), "order lines": (LINES_OF_D1,),
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two published snapshots."""
    folder = tmp_path_factory.mktemp("made") / "data"
    with opened(folder) as lake:
        for key in (D1, D2):
            put_snapshot(lake, key, segments=[{"segment_name": key}], transactions=[{"order_id": key}])
            published.publish_snapshot(lake, folder, key, "fingerprint")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of them with separate files of order lines, so that damage to one leaves the lake intact."""
    copy = shutil.copytree(made, tmp_path / "data")
    restoring.settle(copy)
    return copy


def spoil(file: Path) -> None:
    """Overwrite part of a page that has rows of `segments`, which leaves a database that can be opened."""
    with duckdb.connect(str(file), read_only=True) as database:
        query = "SELECT block_id FROM pragma_storage_info('segments') WHERE column_name = 'segment_name' AND block_id >= 0"
        page = database.sql(query).fetchall()[0][0]
    with file.open("r+b") as spoilt:
        spoilt.seek(HEADERS + page * PAGE + 100)
        spoilt.write(b"\xff" * 100)


def ask(folder: Path) -> list[list[str]]:
    """The snapshots in a native table, and those in the order lines."""
    with published.reading(folder) as database:
        queries = ("SELECT segment_name FROM segments ORDER BY ALL", "SELECT order_id FROM transactions ORDER BY ALL")
        return [[name for (name,) in database.sql(query).fetchall()] for query in queries]


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file."""
    return {str(file): (file.stat().st_size, file.stat().st_mtime_ns) for file in folder.rglob("*") if file.is_file()}


IN_CI = {
    ("master", "overwritten"),
    ("record", "overwritten"),
    *((part, "removed") for part in ("public file", "order lines", "marks", "both")),
}
EACH = [(part, kind) for part in PARTS for kind in (KINDS if part == "master" else ("removed", "overwritten"))]
BOTH_OR_ONE = ["both", *(pytest.param(part, marks=pytest.mark.full) for part in ("public file", "master"))]


@pytest.mark.parametrize(("part", "kind"), [each if each in IN_CI else pytest.param(*each, marks=pytest.mark.full) for each in EACH])
def test_the_next_publication_restores_lost_parts(folder: Path, part: str, kind: str) -> None:
    for file in PARTS[part]:
        KINDS[kind](folder / file)
    with opened(folder) as lake:
        put_snapshot(lake, D3, segments=[{"segment_name": D3}], transactions=[{"order_id": D3}])
        assert published.publish_snapshot(lake, folder, D3, "fingerprint").snapshots == 3
    assert ask(folder) == [[D1, D2, D3], [D1, D2, D3]]
    assert list(provenance.recorded(folder / PRIVATE)) == [D1, D2, D3]
    unknown = ["", "", "fingerprint"] if part == "both" else ["fingerprint"] * 3
    assert [text for _, text in sorted(published.fingerprints(folder).items())] == unknown


OTHERS = [
    pytest.param(*each, marks=pytest.mark.full)
    for each in (("master", "overwritten"), *(("public file", kind) for kind in KINDS if kind != "cut"))
]


@pytest.mark.parametrize(("part", "kind"), [("public file", "cut"), ("both", "removed"), *OTHERS])
def test_until_then_readers_miss_nothing_and_the_doctor_changes_nothing(folder: Path, part: str, kind: str) -> None:
    for file in PARTS[part]:
        KINDS[kind](folder / file)
    before = state(folder)
    said = {found.subject: found for found in health.findings(LOADED.model_copy(update={"data_dir": folder}), dt.datetime.now(dt.UTC))}
    broken = said["database"]
    assert broken.state == State.BROKEN and all(str(folder / file) in broken.message for file in PARTS[part])
    assert said["newest snapshot"].state == said["next run"].state == State.UNKNOWN and state(folder) == before
    assert "about 0 MB" not in said["disk"].message
    assert ask(folder) == [[D1, D2], [D1, D2]]
    assert restoring.unsettled(folder) == [] and len(list(folder.glob(SET_ASIDE))) == (part == "public file" and kind == "cut")


@pytest.mark.parametrize("part", BOTH_OR_ONE)
def test_a_damaged_page_is_named_by_the_doctor_and_mended(folder: Path, part: str) -> None:
    for file in PARTS[part]:
        spoil(folder / file)
    before = state(folder)
    said = {found.subject: found for found in health.findings(LOADED.model_copy(update={"data_dir": folder}), dt.datetime.now(dt.UTC))}
    broken = said["database"]
    assert broken.state == State.BROKEN and broken.message.endswith("To rebuild this: segmentation run --all") and state(folder) == before
    assert all(f"{folder / file} has a damaged page (" in broken.message for file in PARTS[part])
    assert len(restoring.mend(folder)) == len(PARTS[part])
    assert restoring.damaged(folder) == [] and ask(folder) == [[D1, D2], [D1, D2]]


def publish_third(folder: Path) -> None:
    with opened(folder) as lake:
        put_snapshot(lake, D3, segments=[{"segment_name": D3}], transactions=[{"order_id": D3}])
        published.publish_snapshot(lake, folder, D3, "fingerprint")


@pytest.mark.parametrize("part", BOTH_OR_ONE)
def test_a_damaged_page_stops_no_publication(folder: Path, part: str) -> None:
    for file in PARTS[part]:
        spoil(folder / file)
    publish_third(folder)
    assert restoring.damaged(folder) == [] and ask(folder) == [[D1, D2, D3], [D1, D2, D3]]


def test_all_pages_are_read_before_publishing_only_if_the_lake_could_not_rebuild_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Path] = []
    found = database_files.first_damage
    monkeypatch.setattr(restoring, "first_damage", lambda file: looked.append(file) or found(file))
    publish_third(folder)
    assert looked == []
    KINDS["removed"](folder / "lake" / "segments" / f"snapshot_date={D1}" / "part-0.parquet")
    publish_third(folder)
    assert looked == [folder / DATABASES[1]]


@pytest.mark.parametrize("part", ["both", pytest.param("public file", marks=pytest.mark.full)])
def test_who_reads_a_damaged_page_is_told_and_it_is_mended(folder: Path, tmp_path: Path, part: str) -> None:
    for file in PARTS[part]:
        spoil(folder / file)
    with pytest.raises(database_files.PublishError, match=r"\.duckdb has a damaged page .* rebuilt; run the same command again"):
        ask(folder)
    assert ask(folder) == [[D1, D2], [D1, D2]] and restoring.mend(folder) == []
    spoil(folder / database_files.DATABASE)
    with pytest.raises(database_files.PublishError, match="been rebuilt"):
        published.export(folder, tmp_path / "copy.duckdb")
    assert not (tmp_path / "copy.duckdb").exists()


def test_a_damaged_page_that_cannot_be_rebuilt_is_reported_with_the_remedy(folder: Path) -> None:
    for file in DATABASES:
        spoil(folder / file)
    KINDS["removed"](folder / "lake" / "segments" / f"snapshot_date={D1}" / "part-0.parquet")
    with pytest.raises(database_files.PublishError, match=rf"the lake lacks tables of {D1}\. Restore one of them .* --all"):
        ask(folder)


@pytest.mark.parametrize("part", ["master", pytest.param("public file", marks=pytest.mark.full)])
def test_a_damaged_page_is_not_copied_when_the_folder_is_moved(folder: Path, tmp_path: Path, part: str) -> None:
    moved = shutil.copytree(folder, tmp_path / "moved")
    spoil(moved / PARTS[part][0])
    assert ask(moved) == [[D1, D2], [D1, D2]]


def test_damaged_order_lines_are_made_again_from_the_partition_that_they_are_a_link_to() -> None:
    said = restoring.with_remedy(f'Failed to read file "shop/{LINES_OF_D1}": no rows')
    assert said.endswith(
        f"\nRemove shop/lake/transactions/snapshot_date={D1}/part-0.parquet, and make its contents again: segmentation run --all"
    )


def test_a_query_that_fails_for_another_reason_is_not_taken_for_damage(folder: Path) -> None:
    with pytest.raises(duckdb.Error, match="checksum"), published.reading(folder) as database:
        database.sql("SELECT checksum FROM segments")


def test_readers_miss_nothing_without_the_private_folder_or_the_order_lines(folder: Path) -> None:
    for lost in (LINES_OF_D1.parent, PRIVATE):
        shutil.rmtree(folder / lost)
        assert ask(folder) == [[D1, D2], [D1, D2]]


def test_snapshots_left_only_in_the_lake_are_reported_with_the_remedy(folder: Path) -> None:
    shutil.rmtree(folder / PRIVATE)
    (folder / database_files.DATABASE).unlink()
    told = f"all tables of 2 snapshots, {D1} to {D2}"
    assert told in published.nothing_yet(folder)
    found = health.database(LOADED.model_copy(update={"data_dir": folder}))
    assert found[0] == State.BROKEN and told in found[1]


@pytest.mark.parametrize(
    ("lost", "why"),
    [
        (PRIVATE / provenance.FILE, "it is not recorded which snapshots were published"),
        (f"lake/segments/snapshot_date={D1}/part-0.parquet", f"the lake lacks tables of {D1}"),
    ],
)
def test_unrecoverable_loss_is_reported_with_the_remedy(folder: Path, lost: str, why: str) -> None:
    for file in (*DATABASES, lost):
        KINDS["overwritten"](folder / file)
    with (
        opened(folder) as lake,
        pytest.raises(database_files.PublishError, match=rf"can be read, and {why}\. Restore one of them .* --all"),
    ):
        published.publish_snapshot(lake, folder, D2, "fingerprint")


@pytest.mark.parametrize("kind", ["emptied", "cut", "overwritten"])
def test_a_damaged_model_is_restored_from_the_lake(tmp_path: Path, kind: str) -> None:
    for model in (FIRST, SECOND):
        archive.keep(tmp_path, model, POPULATION)
    KINDS[kind](tmp_path / archive.FOLDER / f"{V1}.parquet")
    with pytest.raises(archive.ArchiveError, match=rf"{V1}\.parquet cannot be read, .* Restore the file from a backup, or remove it"):
        archive.load(tmp_path, V1)
    with opened(tmp_path) as lake:
        partition = lake.file("segmentation_model", D1)
        partition.parent.mkdir(parents=True)
        model_to_rows(FIRST).to_parquet(partition)
        pd.testing.assert_frame_equal(model_to_rows(archive.load(tmp_path, V1)), model_to_rows(FIRST), check_exact=True)
        assert archive.highest_segment_id(tmp_path, D3) == SECOND.provenance.highest_segment_id
        columns = ["customer_id", "status", "tenure_days", "recency_days", "frequency", "monetary"]
        put(lake, "customer_features", D1, *SHOP[columns].to_dict("records"))
        archive.population(tmp_path, lake, FIRST, ASK)
        partition.unlink()
    assert archive.load(tmp_path, V1).provenance == FIRST.provenance  # stored again


@pytest.mark.parametrize("text", ["", "[]", '["x"]', '{"2024-02-01": 5}', '{"2024-02-01": {"x": 1}}'])
@pytest.mark.parametrize("file", [archive.REQUESTS, archive.ROLLBACKS])
def test_unreadable_requests_are_reported_with_the_remedy(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / archive.FOLDER).mkdir()
    (tmp_path / archive.FOLDER / file).write_text(text)
    with pytest.raises(archive.ArchiveError, match=rf"{file}, .* cannot be read .* remove it and repeat the requests listed"):
        archive.requests(tmp_path)


def test_a_source_file_whose_stored_rows_are_damaged_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("id,day,paid\na,2024-01-05,10.5\nb,31.01.2024,2\n")
    (tmp_path / "people.csv").write_text("id,age\na,40\n")
    orders = {"files": "orders.csv", "columns": {"customer_id": "id", "ordered_at": "day", "amount": "paid"}}
    people = {"files": "people.csv", "columns": {"customer_id": "id"}}
    with opened_in(tmp_path) as open_tables:
        source = open_tables(transactions=orders, customers=people)
        whole = [source.rows(), source.rows("customers")]
        for kept, kind in {"*/*.parquet": "cut", "*/*[0-9a-f].json": "emptied", "*/*.dates.json": "overwritten"}.items():
            files = list((tmp_path / "intake").glob(kept))
            assert files
            for file in files:
                KINDS[kind](file)
            assert [source.rows(), source.rows("customers")] == whole


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in ("emptied", "cut", "middle") for name in ("segments", "intake")])
def test_a_damaged_parquet_file_is_named_with_the_remedy(tmp_path: Path, kind: str, name: str) -> None:
    folder = {"segments": f"segments/snapshot_date={D1}", "intake": "intake/transactions"}[name]
    file = tmp_path / folder / "part-0.parquet"
    file.parent.mkdir(parents=True)
    pd.DataFrame({"a": range(5000)}).to_parquet(file)
    whole = file.read_bytes()
    KINDS.get(kind, lambda found: found.write_bytes(whole[:200] + b"\xff" * 9000 + whole[9200:]))(file)
    engine = DuckDBEngine()
    with pytest.raises(duckdb.Error) as damaged:
        engine.rows(engine.scan([file]))
    engine.close()
    assert restoring.with_remedy(str(damaged.value)).splitlines()[-1].startswith(f"Remove {file}, and make its contents again")
