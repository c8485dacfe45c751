"""The contract of what was handed over. It is no table of a snapshot, and so not among those that every snapshot has."""

from segmentation_assets.tables.contract import Column, Contract, required

AUDIENCE_RECEIPTS = Contract(
    "audience_receipts", "delivery, list and action; it is no table of a snapshot: a delivery comes after its snapshot is published",
    (
        required("delivery_id", "string", "Delivery; what arrived of one that was cut off has its id, the rest that of the delivery that completed it."),
        required("destination", "string", "Destination, by its name in the settings."),
        required("list", "string", "List of the action."),
        required("action", "string", "Key of the action in the playbook."),
        required("delivered_at", "timestamp(6)", "When, in UTC."),
        Column("added", "int64", "Customers who were handed over, to be contacted; hidden, with the other three, where one of them counts few customers.", minimum=0),
        Column("removed", "int64", "Customers who were taken back, no longer to be contacted.", minimum=0),
        Column("held_out", "int64", "Customers who were recorded as the action's holdout; they did not leave.", minimum=0),
        Column("control", "int64", "Customers who were recorded as in the universal control group; they did not leave either.", minimum=0),
        required("folder", "string", "Id of the data folder that delivered."),
    ),
    key=("delivery_id", "list", "action"),
)  # fmt: skip
