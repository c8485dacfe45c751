"""Contracts of who is in a segment: attributes, categories, typical customers, and the rule that finds them."""

from segmentation_assets.tables.contract import (
    CUSTOMER_ID,
    LEVEL_PLACE,
    SEGMENT_ID,
    SHARE,
    Cells,
    Column,
    Contract,
    HiddenWith,
    by,
    of_hidden_segments,
    required,
)

SEGMENT_NAME = required("segment_name", "string", "Name of the segment at this snapshot.")
LIFT = (
    Column(
        "lift", "float64", "`share` as a multiple of `active_share`: above 1, more common here than among all active customers.", minimum=0
    ),
    Column(
        "lift_low",
        "float64",
        "Lower limit of its 95% interval (MOVER-R; Newcombe 2016).",
        minimum=0,
    ),
    Column("lift_high", "float64", "Upper limit of its 95% interval.", minimum=0),
)
OF_CUSTOMERS = ("share", "lift", "lift_low", "lift_high")
OF_BUYERS = (*OF_CUSTOMERS, "purchases", "purchase_share", "purchase_lift")
MEASURED = ("precision", "recall", "tested_selected", "tested_members", "tested_found", "reason")

SEGMENT_ATTRIBUTES = Contract(
    "segment_attributes", "segment with active customers, attribute and level of it",
    (
        SEGMENT_ID, SEGMENT_NAME,
        required("attribute", "string", "Attribute of customers, such as their income; those in privacy.sensitive are left out."),
        required("level", "string", "Its value, or band between quartiles of all active customers; `(missing)` if there is none."),
        LEVEL_PLACE,
        required("customers", "int64", "Active customers of the segment with it.", minimum=0),
        required("of_customers", "int64", "Those for whom the attribute is known, of whom `share` is; for `(missing)`, all of the segment.", minimum=1),
        required("share", "float64", "Their share.", **SHARE),
        required("active_customers", "int64", "Active customers with it, in all segments.", minimum=1),
        required("active_share", "float64", "Their share, likewise.", **SHARE),
        *LIFT,
    ),
    key=("segment_id", "attribute", "level"),
    largest_first=("lift_low",),
    lineage={"customers": ("customer_segments.customer_id",)},
    cells=(
        HiddenWith("segments", of_hidden_segments, ("customers", "of_customers", *OF_CUSTOMERS)),
        Cells("active_customers", ("active_share", "customers", *OF_CUSTOMERS)),
        Cells("customers", OF_CUSTOMERS, whole="of_customers", sums=(by("segment_id", "attribute"), by("attribute", "level"))),
    ),
)  # fmt: skip
SEGMENT_CATEGORIES = Contract(
    "segment_categories", "segment with active customers and category bought within the lookback",
    (
        SEGMENT_ID, SEGMENT_NAME,
        required("category", "string", "Category of the product."),
        required("customers", "int64", "Customers of the segment who bought it.", minimum=0),
        required("of_customers", "int64", "Active customers of the segment.", minimum=1),
        required("share", "float64", "Share of them who bought it.", **SHARE),
        required("active_customers", "int64", "Active customers who bought it, in all segments.", minimum=1),
        required("active_share", "float64", "Their share.", **SHARE),
        *LIFT,
        required("purchases", "float64", "What the segment's customers paid for it, before returns.", minimum=0),
        Column("purchase_share", "float64", "Share of all they bought; empty if they paid nothing.", **SHARE),
        Column("active_purchase_share", "float64", "The same of all active customers.", **SHARE),
        Column("purchase_lift", "float64", "`purchase_share` as a multiple of `active_purchase_share`.", minimum=0),
    ),
    key=("segment_id", "category"),
    largest_first=("lift_low",),
    lineage={"purchases": ("customer_category_activity.purchases",), "customers": ("customer_segments.customer_id",)},
    cells=(
        HiddenWith("segments", of_hidden_segments, ("customers", "of_customers", *OF_BUYERS)),
        Cells("active_customers", ("active_share", "active_purchase_share", "customers", *OF_BUYERS)),
        Cells("customers", OF_BUYERS, whole="of_customers", sums=(by("category"),)),
    ),
)  # fmt: skip
SEGMENT_EXAMPLES = Contract(
    "segment_examples", "segment by model, typical customer of it and figure; none if privacy.smallest_cell hides figures of few customers",
    (
        SEGMENT_ID, SEGMENT_NAME,
        required("example", "string", "`customer A`, the most typical, to `customer C`."),
        CUSTOMER_ID,
        required("feature", "string", "Column of customer_features."),
        Column("value", "float64", "Its value with two digits; empty if it is text or missing."),
        Column("text", "string", "Its value, if it is text or true or false."),
    ),
    key=("segment_id", "example", "feature"),
    lineage={"customer_id": ("customer_segments.customer_id", "segmentation_model.value"), "value": ("customer_features.monetary",)},
)  # fmt: skip
SEGMENT_RULES = Contract(
    "segment_rules", "segment with customers: a short condition over customer_features that finds them",
    (
        SEGMENT_ID, SEGMENT_NAME,
        Column("rule", "string", "SQL condition over customer_features at this snapshot; empty if no rule reaches rules.min_precision and rules.min_recall. In other dialects: segmentation rules --dialect."),
        Column("words", "string", "The same in words, after `customers who`."),
        required("conditions", "int64", "Comparisons in it, that of the status not counted; 0 if there is no rule.", minimum=0),
        Column("rule_customers", "int64", "Customers at this snapshot who meet it; empty if there is no rule.", minimum=0),
        Column("rule_found", "int64", "Those of them who are in the segment.", minimum=0),
        required("customers", "int64", "Customers of the segment.", minimum=1),
        Column("precision", "float64", "Share of those who meet it that are in the segment, among customers it was not learnt from; also of a rule that is not published.", **SHARE),
        Column("recall", "float64", "Share of the segment's customers who meet it, likewise.", **SHARE),
        required("tested_selected", "int64", "Customers who met it, of those it was not learnt from.", minimum=0),
        required("tested_members", "int64", "Customers of the segment, of those.", minimum=0),
        required("tested_found", "int64", "Customers who met it and are in the segment, of those.", minimum=0),
        required("reason", "string", "Why there is this rule, or none, with the figures."),
    ),
    key=("segment_id",),
    largest_first=("precision",),
    lineage={"rule": ("customer_segments.segment_id",), "rule_customers": ("customer_features.customer_id",)},
    cells=(
        HiddenWith("segments", of_hidden_segments, ("rule", "words", "conditions", "rule_customers", "rule_found", "customers", *MEASURED)),
        Cells("customers", ("rule", "words", "conditions", "rule_customers", "rule_found", *MEASURED)),
        Cells("rule_customers", ("rule", "words", "rule_found", *MEASURED)), Cells("rule_found", MEASURED, whole="rule_customers"),
    ),
)  # fmt: skip
