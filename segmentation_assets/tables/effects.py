"""Contracts of what actions can show and did, beside the customers they held out."""

import pandas as pd

from segmentation_assets.core.application.arms import FEWEST_IN_ARM
from segmentation_assets.tables.contract import SHARE, Cells, Column, Contract, required
from segmentation_assets.vocabulary import Likeness, Measure

LIST = required("list", "string", "The list of the playbook: a customer is taken by at most one action of a list.")
ACTION = required("action", "string", "The action's key in the playbook.")
MEASURE = required(
    "measure", "string", "spend: money per customer, net of returns; ordered: share of customers who ordered.", allowed=tuple(Measure)
)
TREATED = required("treated", "int64", "Customers whom the action treats, or would.", minimum=0)
HOLDOUT = required("holdout", "int64", "Customers whom it leaves alone, to compare with.", minimum=0)
ACTION_POWER = Contract(
    "action_power", "action and measure: what its holdout can show in the coming window, at the 5% level",
    (
        LIST, ACTION, MEASURE, TREATED, HOLDOUT,
        Column("basis", "string", "Whose last window says how much customers differ.", allowed=tuple(Likeness)),
        required("basis_customers", "int64", "How many these were.", minimum=0),
        Column("mean", "float64", "Their mean in the last window."),
        Column("variance_removed", "float64", "Share of its variance that the lookback before explains and the comparison removes (CUPED).", **SHARE),
        Column(
            "smallest_effect", "float64",
            f"Smallest effect per treated customer that is seen with a chance of 80%, in the measure's unit; empty below {FEWEST_IN_ARM} customers in an arm.",
        ),
        Column("smallest_effect_share", "float64", "The same as a share of the mean."),
        Column("expected_effect", "float64", "Uplift per treated customer that the playbook expects, its share of the mean; empty if it states none."),
        Column("power", "float64", "Chance that the expected effect is seen, if it is there.", **SHARE),
        Column("holdout_needed", "int64", "Customers to hold out, so that the chance is 80%; empty if half of them are too few.", minimum=1),
        Column(
            "contacts_needed", "int64",
            "Contacts that would do at the share held out, where a budget or limit bounds the action; empty if it does not, and if all it is for are too few.",
            minimum=1,
        ),
        required("verdict", "string", "What can be shown, in words."),
    ),
    key=("list", "action", "measure"),
    lineage={"treated": ("audience_members.role",), "mean": ("customer_orders.spend",)},
    cells=(
        Cells("treated", ("verdict",)), Cells("holdout", ("verdict",)),
        Cells("basis_customers", ("mean", "variance_removed", "smallest_effect", "smallest_effect_share", "expected_effect", "verdict")),
    ),
)  # fmt: skip
_OF_BOTH_ARMS = (
    "treated_mean", "holdout_mean", "effect", "effect_low", "effect_high", "effect_share", "p_value", "q_value", "variance_removed", "smallest_effect",
    "verdict",
)  # fmt: skip


def _segments_of_an_action(rows: pd.DataFrame) -> pd.Series:
    """The segments of an action, which add up to its row of all customers, as groups apart from these rows."""
    return rows.groupby(["assigned_on", "list", "action", "measure", rows["segment_id"].isna()], sort=False).ngroup()


ACTION_LIFT = Contract(
    "action_lift", "action, segment or all of its customers, and measure: those treated beside those held out, as they were assigned (intention to treat)",
    (
        required("assigned_on", "date", "Snapshot whose audiences these are."),
        LIST, ACTION,
        Column("segment_id", "int64", "Segment when they were assigned; empty: all customers of the action."),
        MEASURE,
        required("sent", "boolean", "Whether it was handed over, if only after this snapshot, as the verdict then says. If not, nobody was treated: the row compares who would have been, and any difference is chance."),
        TREATED, HOLDOUT,
        Column("treated_mean", "float64", "Mean of the treated from the hand-over to the snapshot; without one, from the day of assignment."),
        Column("holdout_mean", "float64", "Mean of those held out, over the same time."),
        Column("effect", "float64", "Treated less held out, per customer, after what the lookback before the assignment explains is removed (CUPED)."),
        Column("effect_low", "float64", "Lower end of its 95% interval."),
        Column("effect_high", "float64", "Upper end of its 95% interval."),
        Column("effect_share", "float64", "The effect as a share of the mean of those held out; empty if that is not above 0."),
        Column("p_value", "float64", "Chance of a difference as large if there is no effect.", **SHARE),
        Column("q_value", "float64", "False discovery rate over the actions assigned at that snapshot, by measure; for segments, over all segments of these actions (Benjamini-Hochberg 1995).", **SHARE),
        Column("variance_removed", "float64", "Share of the variance that was removed.", **SHARE),
        Column("smallest_effect", "float64", "Smallest effect that was seen with a chance of 80%."),
        Column("power", "float64", "Chance that the expected effect was seen; empty if the playbook states none.", **SHARE),
        Column("sample_ratio_p", "float64", "Chance of a holdout as far from the planned share; below 0.001, customers were lost.", **SHARE),
        required("verdict", "string", "What was seen, in words."),
    ),
    key=("assigned_on", "list", "action", "segment_id", "measure"),
    lineage={"effect": ("customer_orders.spend", "audience_members.role"), "treated": ("audience_members.role",)},
    cells=(
        Cells("treated", _OF_BOTH_ARMS, sums=(_segments_of_an_action,)), Cells("holdout", _OF_BOTH_ARMS, sums=(_segments_of_an_action,)),
    ),
)  # fmt: skip
