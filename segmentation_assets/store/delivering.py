"""Hand-over: what changes for a destination since what it was last told, and the delivery of it.

Belongs here: which snapshot, from which folder, and in which order things are written, so that a delivery that is repeated or cut off
contacts nobody twice. What is said to a destination is decided in `core.application.handover`; how it travels, in `destinations`.
"""

import datetime as dt
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc
from filelock import FileLock, Timeout

from segmentation_assets.atomic import replacing
from segmentation_assets.core.application import handover
from segmentation_assets.core.customers.cleaning import judged_customers
from segmentation_assets.engines.base import Engine
from segmentation_assets.settings.delivery import ALWAYS, FURTHER, AnyDestination
from segmentation_assets.settings.loading import Settings
from segmentation_assets.settings.section import nearest, unknown_names
from segmentation_assets.settings.snapshots import existing_keys
from segmentation_assets.sources import Source, Window, open_source
from segmentation_assets.sources.pseudonyms import Pseudonyms
from segmentation_assets.sources.suppression import suppressed
from segmentation_assets.store import deliveries, destinations, folder_home, journal, published
from segmentation_assets.store.database_files import PublishError, shown_in
from segmentation_assets.store.deliveries import DeliveryError
from segmentation_assets.store.lake import opened
from segmentation_assets.store.provenance import Fingerprint, sections
from segmentation_assets.vocabulary import Change, Reason, Role, counted

AUDIENCE, CUSTOMERS = "audience_members", "customers"
PLANNED_BY = ("playbook", "audiences", "own_segments")
LOCK, HANDLED = "delivering.lock", "handled.txt"
FOREVER = dt.date.max


@dataclass(frozen=True)
class Planned:
    """What a destination is to be told.

    Attributes:
        rows: MEMBERSHIP, change, cost, RECORDED and the columns that may leave, of who changes; ordered by key.
        barred: customers of the snapshot's audiences who may no longer be contacted, as is known now.
    """

    name: str
    destination: AnyDestination
    snapshot: dt.date
    rows: pa.Table = field(repr=False)
    barred: int

    @property
    def delivery_id(self) -> str:
        """The same for the same rows of the same snapshot to the same destination."""
        found = hashlib.sha256(f"{self.name}\x1f{self.snapshot}\x1f".encode())
        for name in self.rows.column_names:
            found.update(repr((name, self.rows[name].to_pylist())).encode(errors="surrogatepass"))
        return found.hexdigest()[:32]

    def leaving(self, rows: pa.Table) -> pa.Table:
        """What is sent of some rows: none of a holdout, no column that may not leave, and of who is removed nothing but who it is."""
        sent = rows.filter(pc.equal(rows["role"], str(Role.TREATED)))
        added = pc.equal(sent["change"], str(Change.ADDED))
        for name in self.destination.columns:
            field = sent.schema.field(name)
            sent = sent.set_column(sent.schema.get_field_index(name), field, pc.if_else(added, sent[name], pa.scalar(None, field.type)))
        dated = sent.append_column("snapshot_date", pa.repeat(pa.scalar(self.snapshot, pa.date32()), len(sent)))
        return dated.select([*ALWAYS, *self.destination.columns])

    def counts(self) -> dict[tuple[str, str], dict[str, int]]:
        """By list and action: how many customers are added, removed, held out by the action, and in the universal control group."""
        found: dict[tuple[str, str], dict[str, int]] = {}
        counted_rows = self.rows.group_by(["list", "action", "change", "role", "reason"]).aggregate([([], "count_all")]).to_pylist()
        for row in sorted(counted_rows, key=lambda row: (row["list"], row["action"])):
            numbers = found.setdefault((row["list"], row["action"]), {"added": 0, "removed": 0, "held_out": 0, "control": 0})
            if row["role"] == Role.TREATED:
                numbers[row["change"]] += row["count_all"]
            elif row["change"] == Change.ADDED:
                numbers["control" if row["reason"] == Reason.UNIVERSAL_CONTROL else "held_out"] += row["count_all"]
        return found


@dataclass(frozen=True)
class Receipt:
    """A delivery that arrived."""

    plan: Planned
    delivered_at: dt.datetime
    batches: int


def choose(settings: Settings, names: Sequence[str]) -> dict[str, AnyDestination]:
    """The destinations of these names; all if none is named.

    Raises:
        DeliveryError: there are none, or one is not in the settings.
    """
    known = settings.delivery.destinations
    if not known:
        raise DeliveryError("delivery.destinations: there are none, so nothing can be handed over. docs/acting.md says how to set one.")
    if unknown := unknown_names("--destination", names, known, "a destination in delivery.destinations"):
        raise DeliveryError("\n".join(unknown))
    return {name: one for name, one in known.items() if not names or name in names}


def snapshot_to_deliver(settings: Settings, asked: str | None, now: dt.datetime) -> str:
    """The snapshot whose audiences are handed over: the newest one, or the one that is asked for by name.

    Raises:
        PublishError: nothing is published.
        DeliveryError: a newer one exists and is not published.
    """
    keys = published.keys(settings.data_dir)
    if not keys:
        raise PublishError(published.nothing_yet(settings.data_dir))
    if asked is not None:
        return asked
    due = existing_keys(settings.snapshots, now)
    if due and due[-1] > keys[-1]:
        raise DeliveryError(
            f"{keys[-1]} is the newest snapshot that is published, and {due[-1]} exists by now. Nothing was delivered. Make it: "
            f"segmentation run --all. To hand over the old one: segmentation audiences --deliver --snapshot {keys[-1]}"
        )
    return keys[-1]


def require_plan_of(settings: Settings, key: str) -> None:
    """Check that the audiences of a published snapshot were made with these settings.

    Raises:
        DeliveryError: the playbook, the rules of audiences or own segments have changed since.
    """
    if changed := changed_since(settings, key):
        raise DeliveryError(
            f"The audiences of {key} were made with other settings ({', '.join(changed)}), so actions that were changed, ended or "
            "turned off since are still in them. Nothing was delivered. Make them again first: segmentation run --all"
        )


def changed_since(settings: Settings, key: str) -> list[str]:
    """The sections of the settings on which audiences depend that have changed since those of the snapshot were made."""
    made, now = Fingerprint.read(published.fingerprints(settings.data_dir).get(key, "")), sections(settings)
    return [] if made is None else [name for name in PLANNED_BY if made.settings.get(name) != now.get(name)]


def note_published(data_dir: Path) -> None:
    """Note, in a folder that never noted it, which snapshots are published: what an earlier version made is not handed over by a run that
    makes it again. To be called before a run publishes its own."""
    file = data_dir / deliveries.FOLDER / HANDLED
    if not file.exists():
        _handled(file, max(published.keys(data_dir), default=""))


def is_first_time(settings: Settings, key: str, now: dt.datetime) -> bool:
    """Whether a run that has just published this snapshot may hand it over: it is the newest that exists, no run published it, or a
    later one, before, and nothing of it was handed over. Asking counts: the next time the answer is no."""
    file = settings.data_dir / deliveries.FOLDER / HANDLED
    folder_home.mark(settings.data_dir)
    if not file.exists() or key <= file.read_text(encoding="utf-8").strip() or key in deliveries.snapshots(settings.data_dir):
        return False
    _handled(file, key)
    return key == max(published.keys(settings.data_dir), default="") == max(existing_keys(settings.snapshots, now), default="")


def _handled(file: Path, key: str) -> None:
    with replacing(file) as unfinished:
        unfinished.write_text(f"{key}\n", encoding="utf-8")


def plans(settings: Settings, key: str, chosen: dict[str, AnyDestination], source: Source | None = None) -> list[Planned]:
    """What each destination would be told of a published snapshot. Writes nothing.

    Args:
        source: for consent as it is now; None: the one in the settings.

    Raises:
        DeliveryError: the audiences were made with other settings, a column that is to leave does not exist, or a record cannot be read.
        SourceError: consent or a suppression list cannot be read, so that it is not known who may be contacted.
    """
    require_plan_of(settings, key)
    with opened(settings.data_dir, settings.engine.here()) as lake:
        audience, attributes, shares = _audience(settings.data_dir, key, chosen)
        told = deliveries.rows(settings.data_dir, lake.engine, FOREVER)
        rows = ibis.memtable(audience)
        planned = [(rows.action == action, share) for action, share in shares.items()]
        rows = rows.mutate(planned_share=ibis.cases(*planned, else_=ibis.null("float64")) if planned else ibis.null("float64"))
        may = handover.allowed(rows, _records(settings, lake.engine, source), _suppressed(settings))
        kept = ibis.memtable(may.to_pyarrow())
        barred = _people(audience) - _people(kept.to_pyarrow())
        return [_planned(settings.data_dir, name, one, key, kept, told, attributes, barred) for name, one in chosen.items()]


def _planned(
    data_dir: Path, name: str, one: AnyDestination, key: str, kept: ir.Table, told: ir.Table | None, attributes: pa.Table, barred: int
) -> Planned:
    cut_off = journal.of_destination(data_dir, name)
    known = [told] if told is not None else []
    known += [ibis.memtable(rows) for one_cut_off in cut_off if (rows := one_cut_off.known()).num_rows]
    last = None
    if known:
        every = known[0].select(*deliveries.SCHEMA.names)
        for more in known[1:]:
            every = every.union(more.select(*deliveries.SCHEMA.names))
        last = handover.last_told(every, name)
    doubtful = [rows for one_cut_off in cut_off if (rows := one_cut_off.doubtful()).num_rows]
    unsure = ibis.memtable(pa.concat_tables(doubtful).select([*handover.MEMBERSHIP])).distinct() if doubtful else None
    found = handover.changes(handover.wanted(kept, one), last, unsure, key)
    own = [column for column in one.columns if column not in FURTHER]
    if own:
        extra = ibis.memtable(attributes.select(["customer_id", *own])).rename(attribute_of="customer_id")
        found = found.left_join(extra, found.customer_id == extra.attribute_of).drop("attribute_of")
    return Planned(name, one, dt.date.fromisoformat(key), found.order_by("idempotency_key").to_pyarrow(), barred)


def _people(rows: pa.Table) -> int:
    return int(pc.count_distinct(rows["customer_id"]).as_py())


def _audience(data_dir: Path, key: str, chosen: dict[str, AnyDestination]) -> tuple[pa.Table, pa.Table, dict[str, float]]:
    """Who is treated or held out at a published snapshot, the attributes of customers that may leave, and by action the planned share."""
    day = duckdb.ColumnExpression("snapshot_date") == duckdb.ConstantExpression(dt.date.fromisoformat(key))
    wanted = {name: [column for column in one.columns if column not in FURTHER] for name, one in chosen.items()}
    with published.reading(data_dir) as database:
        if AUDIENCE not in shown_in(database):
            raise PublishError(f"{AUDIENCE} was not published yet, by an earlier version. Make it: segmentation run --all")
        known = database.table(CUSTOMERS).columns
        for name, columns in wanted.items():
            for column in columns:
                if column not in known:
                    raise DeliveryError(
                        f"delivery.destinations.{name}.columns: {column} is neither of {', '.join(FURTHER)} nor an attribute of customers."
                        f"{nearest(column, [*FURTHER, *known])}"
                    )
        attributes = list(dict.fromkeys(["customer_id", *(column for columns in wanted.values() for column in columns)]))
        busy = duckdb.ColumnExpression("role") != duckdb.ConstantExpression(str(Role.SUPPRESSED))
        about = map(duckdb.ColumnExpression, (*handover.MEMBERSHIP, *FURTHER, "reason"))
        audience = database.table(AUDIENCE).filter(day & busy).select(*about)
        shares = _planned_shares(database, key)
        people = database.table(CUSTOMERS).filter(day).select(*map(duckdb.ColumnExpression, attributes))
        return audience.to_arrow_table(), people.to_arrow_table(), shares


def _planned_shares(database: duckdb.DuckDBPyConnection, key: str) -> dict[str, float]:
    """By action, the share of its customers that was to be held out when the snapshot was made; empty if an earlier version made it."""
    if not database.execute(_HAS_SHARES).fetchall():
        return {}
    return dict(database.execute(_SHARES, [dt.date.fromisoformat(key)]).fetchall())


_HAS_SHARES = "SELECT 1 FROM duckdb_columns() WHERE table_name = 'segment_actions' AND column_name = 'holdout_share'"
_SHARES = "SELECT play, any_value(holdout_share) FROM segment_actions WHERE snapshot_date = ? AND holdout_share IS NOT NULL GROUP BY play"


def _records(settings: Settings, engine: Engine, source: Source | None) -> ir.Table | None:
    """Everyone on record in the source now, with consent; None if no consent is mapped."""
    if not settings.source.has_consent:
        return None
    end = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=2)  # whatever the zone, nothing that is known is left out
    raw = (source or open_source(settings)).customers(engine, Window(None, end))
    return judged_customers(raw, settings.cleaning).kept()


def _suppressed(settings: Settings) -> ir.Table | None:
    pseudonyms = Pseudonyms.of(settings.privacy.pseudonyms, settings.cleaning) if settings.privacy.pseudonyms else None
    return suppressed(settings.audiences.suppression, settings.cleaning, pseudonyms)


def deliver(
    settings: Settings,
    key: str,
    chosen: dict[str, AnyDestination],
    now: dt.datetime,
    folder: str | None = None,
    source: Source | None = None,
) -> list[Receipt]:
    """Hand over what changes for each destination, and record it; destinations for which nothing changes are left out.

    Args:
        folder: the id of this data folder, if it is to be taken for the original.

    Raises:
        DeliveryError: the folder is a copy, another delivery is under way, or a destination did not take everything. What arrived is
            recorded, other destinations got theirs, and repeating the delivery completes it.
    """
    data_dir = settings.data_dir
    folder_home.require(data_dir, folder)
    receipts, problems = [], []
    with _alone(data_dir):
        before = deliveries.recorded(data_dir)
        for name in chosen:
            for cut_off in journal.of_destination(data_dir, name):
                cut_off.settle(data_dir)
        for plan in plans(settings, key, chosen, source):
            try:
                receipts += _delivered(data_dir, plan, now)
            except DeliveryError as error:
                problems.append(str(error))
        if deliveries.recorded(data_dir) != before:
            published.publish_receipts(data_dir)
    if problems:
        done = f"\nDelivered: {', '.join(receipt.plan.name for receipt in receipts)}." if receipts else ""
        raise DeliveryError("\n".join(problems) + done)
    return receipts


@contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    lock = FileLock(data_dir / deliveries.FOLDER / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise DeliveryError("Another delivery from this data folder is under way. Wait until it ends, then try again.") from None
    try:
        yield
    finally:
        lock.release()


def _delivered(data_dir: Path, plan: Planned, now: dt.datetime) -> list[Receipt]:
    earlier = journal.of_destination(data_dir, plan.name)
    size, number = destinations.batch_rows(plan.destination), plan.rows.num_rows
    if not number:
        for cut_off in earlier:
            cut_off.close()
        return []
    each = size or number
    batches = [plan.rows.slice(start, each) for start in range(0, number, each)]
    places = pa.array([position // each for position in range(number)], pa.int64())
    with destinations.sending(plan.name, plan.destination, plan.snapshot, plan.delivery_id) as send:
        under_way = journal.begin(data_dir, plan.rows, places, plan.snapshot, plan.name, now, plan.delivery_id)
        try:
            for batch in batches:
                if (sent := plan.leaving(batch)).num_rows:
                    send(sent)
                under_way.arrived()
        except DeliveryError as error:
            under_way.settle(data_dir)
            done = under_way.batches_arrived()
            told = f"{done} of {counted(len(batches), 'batch', 'batches')} arrived and were recorded; " if done else "Nothing arrived; "
            raise DeliveryError(
                f"{error} {told}to complete it, repeat: segmentation audiences --deliver --destination {plan.name}"
            ) from None
    under_way.settle(data_dir)
    for finished in [*earlier, under_way]:
        finished.close()
    return [Receipt(plan, now, len(batches))]
