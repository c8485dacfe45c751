"""Pseudonyms: no id gets past the source, equal ids stay equal, and a folder holds the pseudonyms of one key."""

import datetime as dt
import hmac
import json
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from click import ClickException
from click.testing import CliRunner

from segmentation_assets.cli import make
from segmentation_assets.cli.main import main
from segmentation_assets.cli.terminal import new_console
from segmentation_assets.definitions import build
from segmentation_assets.settings.loading import Settings
from segmentation_assets.sources import SourceError, open_source, pseudonyms
from segmentation_assets_tests.builders import D1, LOADED

KEY, OTHER = "k" * 40, "o" * 40
NEEDLE = "needle"  # in every id
COLUMNS = {"customer_id": "who", "ordered_at": "day", "amount": "paid"}
HIDDEN = {"pseudonyms": {"key_variable": "SHOP_KEY"}}
ORDERS = "who,day,paid,note\n" + "".join(
    f"{NEEDLE}{n},2024-01-{day:02},{10 ** (1 + n % 2)}.{n:02},memo {NEEDLE}{n}\n" for n in range(12) for day in range(1, 3 + 6 * (n % 2))
)
BAD = f"""{NEEDLE}1,2024-01-09,what,
 {NEEDLE}1 ,2024-01-10,100.00,spaces
{NEEDLE}2,2024-01-11
{NEEDLE}3,2024-01-11,1,2,3,4
,2024-01-12,5,{NEEDLE}
"""
PEOPLE = f"who,town\n{NEEDLE}1,Ghent\n{NEEDLE}1,Bruges\n{NEEDLE}77,Ghent\n{NEEDLE}78,Ghent\n"

NOW = dt.datetime(2024, 3, 5, 6, 7, 8, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", KEY)


def settings_of(folder: Path, privacy: dict | None = None, **columns: str) -> Settings:
    """A shop with customers and orders in two files, some of which cannot be used."""
    (folder / "orders.csv").write_text(ORDERS + BAD, encoding="utf-8")
    (folder / "people.csv").write_text(PEOPLE, encoding="utf-8")
    orders = {"files": str(folder / "orders.csv"), "columns": {**COLUMNS, **columns}}
    people = {"files": str(folder / "people.csv"), "columns": {"customer_id": "who"}}
    given = LOADED.model_dump(mode="json", include={"snapshots", "features", "model", "exploration", "cleaning"})
    source = {"kind": "tables", "transactions": orders, "customers": people}
    return Settings(
        **{**given, "data_dir": str(folder / ("plain" if privacy is None else "hidden")), "source": source, "privacy": privacy or {}}
    )


def made(settings: Settings, job: str = "snapshot", instance: dg.DagsterInstance | None = None) -> None:
    """The first snapshot."""
    build(settings, open_source(settings)).resolve_job_def(job).execute_in_process(partition_key=D1, instance=instance)


def holding(folder: Path, text: str) -> list[str]:
    """The files of a folder that hold a text: as bytes, in rows of Parquet files, or in tables of databases."""
    found = []
    for file in (file for file in folder.rglob("*") if file.is_file()):
        content = file.read_bytes()
        if file.suffix == ".parquet":
            content += str(duckdb.sql(f"FROM read_parquet('{file}')").fetchall()).encode()
        elif file.suffix == ".duckdb":
            with duckdb.connect(str(file), read_only=True) as database:
                for (name,) in database.sql("SELECT table_name FROM duckdb_tables()").fetchall():
                    content += str(database.sql(f"SELECT * FROM {name}").fetchall()).encode()
        found += [str(file.relative_to(folder))] if text.encode() in content else []
    return found


@pytest.mark.full  # in CI, the hashes, their key and what is refused
@pytest.mark.slow
def test_no_id_and_no_key_is_anywhere_in_the_data_folder_and_tables_are_the_same(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    hidden, plain = settings_of(tmp_path, HIDDEN), settings_of(tmp_path)
    records = hidden.data_dir / "dagster"
    records.mkdir(parents=True)
    with dg.DagsterInstance.local_temp(str(records)) as instance:
        made(hidden, instance=instance)
    said = "".join(capfd.readouterr())
    assert "published_database" in said
    assert NEEDLE not in said
    made(plain, "features")
    assert len(holding(plain.data_dir, NEEDLE)) > 10  # the search finds ids where they are
    assert holding(hidden.data_dir, NEEDLE) == []
    assert holding(hidden.data_dir, KEY) == []
    rejected, features = (
        f"SELECT {what} FROM '{{}}/lake/{{}}/*/*.parquet' ORDER BY ALL"
        for what in ("source, row_number, reason", "* EXCLUDE (customer_id)")
    )
    for query, name in ((rejected, "rejected_rows"), (features, "customer_features")):
        one, other = (duckdb.sql(query.format(settings.data_dir, name)).fetchall() for settings in (hidden, plain))
        assert one == other
        assert one
    pseudonym = "p" + hmac.digest(KEY.encode(), f"{NEEDLE}78".encode(), "sha256").hex()[:24]  # as docs/security.md says
    towns = duckdb.sql(f"SELECT town FROM '{hidden.data_dir}/lake/customers/*/*.parquet' WHERE customer_id = '{pseudonym}'")
    assert towns.fetchall() == [("Ghent",)]


@pytest.mark.parametrize(
    ("made_with", "asked", "problem", "remedy"),
    [
        (KEY, "", "holds pseudonyms (of the key 899db730d2cdfe28), and privacy.pseudonyms is not set", "set privacy.pseudonyms again"),
        ("", KEY, "holds customer ids as they are, and privacy.pseudonyms is set", "remove privacy.pseudonyms"),
        (KEY, OTHER, "holds pseudonyms of the key 899db730d2cdfe28, and the key in the environment is", "set the former key again"),
    ],
)
def test_a_folder_with_history_of_other_ids_is_refused_and_stays_as_it_is(
    tmp_path: Path, made_with: str, asked: str, problem: str, remedy: str
) -> None:
    of = {text: pseudonyms.Pseudonyms(text.encode()) if text else None for text in (made_with, asked)}
    pseudonyms.claim(tmp_path, of[made_with])
    (tmp_path / "lake").mkdir()
    (tmp_path / "intake").mkdir()
    pseudonyms.claim(tmp_path, of[asked])  # nothing was made of the rows that were read
    assert not (tmp_path / "intake").exists()
    pseudonyms.claim(tmp_path, of[made_with])
    (tmp_path / "lake" / "raw_events").mkdir()
    with pytest.raises(SourceError) as refused:
        pseudonyms.claim(tmp_path, of[asked])
    assert problem in str(refused.value)
    assert remedy in str(refused.value)
    assert "run `segmentation run --all --anew`" in str(refused.value)
    assert pseudonyms.marked(tmp_path) == (of[made_with].fingerprint if made_with else "")


def test_a_lost_or_damaged_mark_does_not_make_pseudonyms_look_like_ids(tmp_path: Path) -> None:
    wanted = pseudonyms.Pseudonyms(KEY.encode())
    pseudonyms.claim(tmp_path, wanted)
    (tmp_path / "lake" / "raw_events").mkdir(parents=True)
    for lost in (pseudonyms.MARK, pseudonyms.COPY):
        (tmp_path / lost).unlink()
        with pytest.raises(SourceError, match="holds pseudonyms"):
            pseudonyms.claim(tmp_path, None)
        pseudonyms.claim(tmp_path, wanted)
        assert (tmp_path / lost).exists()
    for text, problem in (("garbage", "is damaged"), ("0" * 16, "name different keys")):
        (tmp_path / pseudonyms.MARK).write_text(text)
        with pytest.raises(SourceError, match=problem):
            pseudonyms.claim(tmp_path, wanted)


def test_without_a_key_or_with_a_short_one_nothing_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(tmp_path, HIDDEN)
    for value, problem in ((None, "SHOP_KEY, which holds the key, is not set"), ("hunter2", "the key in SHOP_KEY has 7 characters")):
        monkeypatch.delenv("SHOP_KEY") if value is None else monkeypatch.setenv("SHOP_KEY", value)
        with pytest.raises(SourceError, match=problem) as refused:
            open_source(settings)
        assert "hunter2" not in str(refused.value)
    assert not settings.data_dir.exists()


def test_a_column_of_ids_that_is_mapped_to_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="transactions: category is made of who, which is mapped to customer_id"):
        open_source(settings_of(tmp_path, HIDDEN, category="who")).kept("transactions")


def test_spellings_of_an_id_have_one_pseudonym_whatever_the_length_of_the_key() -> None:
    for key in (KEY, 3 * KEY):  # the second is longer than a block of the hash
        expected = "p" + hmac.digest(key.encode(), b"17850", "sha256").hex()[:24]
        assert pseudonyms.Pseudonyms(key.encode()).each(["17850", " 17850.0\u200b", "17850,0", " "]) == [expected, expected, expected, None]


def test_rows_of_a_database_are_stored_with_pseudonyms(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as shop:
        shop.execute(f"CREATE TABLE orders AS SELECT '{NEEDLE}' || i AS who, DATE '2024-01-02' AS day, 9.5 AS paid FROM range(3) t(i)")
    settings = settings_of(tmp_path, HIDDEN)
    orders = {
        "url": f"duckdb:///{tmp_path}/shop.duckdb",
        "table": "orders",
        "columns": COLUMNS,
    }
    source = Settings(**{**settings.model_dump(mode="json", by_alias=True), "source": {"kind": "tables", "transactions": orders}})
    [kept] = open_source(source).kept("transactions")
    assert kept.rows == 3
    assert holding(settings.data_dir, NEEDLE) == []


def test_a_message_about_a_file_does_not_quote_it(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, HIDDEN)
    (tmp_path / "orders.csv").write_text(f"{NEEDLE}1\n{NEEDLE}2\n")
    with pytest.raises(
        SourceError, match=r"orders.csv: its delimiter cannot be guessed; its first line is \(withheld, .*\). Set delimiter"
    ) as refused:
        open_source(settings).kept("transactions")
    assert refused.value.__suppress_context__


def test_the_command_tells_pseudonyms_to_who_has_the_key(tmp_path: Path) -> None:
    source = {"kind": "tables", "transactions": {"files": "orders.csv", "columns": COLUMNS}}
    file = tmp_path / "segmentation.yaml"
    file.write_text(json.dumps({"data_dir": "data", "snapshots": {"first": D1}, "source": source, "privacy": HIDDEN}))
    made = "".join(f"{one}\n" for one in pseudonyms.Pseudonyms(KEY.encode()).each(["7", "8"]))
    for arguments, given in ((["7", "8"], ""), (["-"], "7\n8\n")):
        assert CliRunner().invoke(main, ["pseudonym", "--settings", str(file), *arguments], input=given).stdout == made
    refused = CliRunner(env={"SHOP_KEY": None}).invoke(main, ["pseudonym", "--settings", str(file), "7"])
    assert (refused.exit_code, "SHOP_KEY, which holds the key, is not set" in refused.stderr) == (1, True)


def with_history(folder: Path, of: pseudonyms.Pseudonyms | None) -> Path:
    """A data folder with history of the kind of ids."""
    (folder / "lake" / "raw_events").mkdir(parents=True)
    (folder / "lake" / "raw_events" / "part").write_text(NEEDLE)
    if of:
        for name in (pseudonyms.MARK, pseudonyms.COPY):
            (folder / name).write_text(of.fingerprint)
    return folder


def test_a_folder_is_set_aside_whole_and_found_again(tmp_path: Path) -> None:
    folder = with_history(tmp_path / "data", None)
    (tmp_path / "link").symlink_to(folder)
    assert pseudonyms.those_aside(folder) == []
    aside = pseudonyms.set_aside(tmp_path / "link", NOW)
    assert aside == tmp_path / "data.set-aside-20240305T060708"
    assert (aside / "lake" / "raw_events" / "part").read_text() == NEEDLE
    assert folder.is_dir() and list(folder.iterdir()) == []  # a link still leads somewhere
    assert pseudonyms.those_aside(folder) == pseudonyms.those_aside(tmp_path / "link") == [aside]


def test_a_folder_that_cannot_be_renamed_is_refused_and_stays(tmp_path: Path) -> None:
    folder = with_history(tmp_path / "data", None)
    (tmp_path / "data.set-aside-20240305T060708").mkdir()
    (tmp_path / "data.set-aside-20240305T060708" / "mine").touch()
    with pytest.raises(SourceError, match=r"data cannot be renamed \(.*\)\. Nothing was changed\."):
        pseudonyms.set_aside(folder, NOW)
    assert (folder / "lake").exists()


@pytest.mark.parametrize(
    ("made_with", "asked", "moved"), [("", KEY, True), (KEY, "", True), (KEY, OTHER, True), (KEY, KEY, False), ("", "", False)]
)
def test_only_a_folder_of_other_ids_is_set_aside_and_twice_does_no_harm(
    tmp_path: Path, made_with: str, asked: str, moved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(tmp_path, HIDDEN if asked else None)
    folder = with_history(settings.data_dir, pseudonyms.Pseudonyms(made_with.encode()) if made_with else None)
    monkeypatch.setenv("SHOP_KEY", asked or KEY)
    for _ in range(2):  # the second time, as after a kill
        make.set_aside(settings, new_console())
        assert (folder.exists(), len(pseudonyms.those_aside(folder))) == (not moved, int(moved))


def test_nothing_is_set_aside_before_it_is_known_that_history_can_be_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(tmp_path, HIDDEN)
    with_history(settings.data_dir, None)
    for missing, refused, problem in (
        (lambda: monkeypatch.setenv("SHOP_KEY", ""), SourceError, "SHOP_KEY, which holds the key, is not set"),
        (lambda: (tmp_path / "orders.csv").rename(tmp_path / "away.csv"), SourceError, r"orders\.csv"),
    ):
        missing()
        with pytest.raises(refused, match=problem):
            make.set_aside(settings, new_console())
        monkeypatch.setenv("SHOP_KEY", KEY)
    (tmp_path / "away.csv").rename(tmp_path / "orders.csv")
    inside = settings.model_copy(update={"data_dir": tmp_path})
    with_history(tmp_path, None)
    with pytest.raises(ClickException, match=r"people\.csv is in the data folder|orders\.csv is in the data folder"):
        make.set_aside(inside, new_console())
    assert pseudonyms.those_aside(settings.data_dir) == []


def test_a_folder_that_a_run_uses_is_not_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(tmp_path, HIDDEN)
    with_history(settings.data_dir, None)
    monkeypatch.setattr("segmentation_assets.defs.health.using", lambda *_: "Run 5 is in progress.")
    with pytest.raises(ClickException, match=r"Run 5 is in progress\. Nothing was changed\. Stop it"):
        make.set_aside(settings, new_console())
    assert settings.data_dir.exists()


def test_a_source_that_is_not_read_needs_no_key_and_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(tmp_path, HIDDEN)
    with_history(settings.data_dir, pseudonyms.Pseudonyms(KEY.encode()))
    with_key = open_source(settings).fingerprint()
    monkeypatch.delenv("SHOP_KEY")
    source = open_source(settings, to_read=False)
    assert source.fingerprint() == with_key
    with pytest.raises(SourceError, match="holds pseudonyms"):
        source.kept("transactions")


def test_only_the_whole_history_is_made_anew() -> None:
    refused = CliRunner().invoke(main, ["run", "--anew", "--snapshot", D1])
    assert (refused.exit_code, "--anew makes the whole history again: use it with --all." in refused.output) == (2, True)
