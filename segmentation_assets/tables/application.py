"""Contracts of what the segments are like, and of the suggested actions."""

import pandas as pd

from segmentation_assets.tables.contract import (
    CUSTOMER_ID,
    MODEL_VERSION,
    SEGMENT_ID,
    SHARE,
    Cells,
    Column,
    Contract,
    HiddenWith,
    if_total_is_hidden,
    of_hidden_segments,
    required,
)
from segmentation_assets.vocabulary import Reason, Role

SEGMENTS = Contract(
    "segments", "segment at the snapshot",
    (
        SEGMENT_ID,
        required("segment_name", "string", "Name of the segment at this snapshot."),
        required("description", "string", "What marks the segment out, and whether it is a distinct segment or part of a convenient partition."),
        required("customers", "int64", "Customers in the segment.", minimum=0),
        required("share", "float64", "Share of all known customers.", **SHARE),
        Column("revenue", "float64", "Their spend within the lookback; empty if the source has no orders.", money=True),
        Column("revenue_share", "float64", "Share of all spend within the lookback; empty if nothing was spent."),
        MODEL_VERSION,
    ),
    key=("segment_id",),
    largest_first=("customers",),
    beside=(
        Column("customers_previous", "int64", "Customers in the segment at the snapshot before.", minimum=0),
        Column("share_previous", "float64", "Its share then.", **SHARE),
        Column("revenue_previous", "float64", "Its revenue then.", money=True),
        Column("previous_missing", "string", "Why there are no figures of the snapshot before; empty if there are."),
    ),
    lineage={"customers": ("customer_segments.customer_id",), "revenue": ("customer_features.monetary",)},
    cells=(
        # Those of the model add up to the active customers, the others to the rest of all who are known.
        Cells("customers", ("share", "revenue", "revenue_share", "description"), sums=(lambda rows: rows["segment_id"] >= 0,), totals=("share",)),
    ),
)  # fmt: skip
SEGMENT_PROFILES = Contract(
    "segment_profiles", "segment and numeric feature",
    (
        SEGMENT_ID,
        required("feature", "string", "Column of customer_features."),
        Column("mean", "float64", "Mean in the segment."),
        Column("median", "float64", "Median in the segment."),
        Column("p10", "float64", "10th percentile in the segment."),
        Column("p90", "float64", "90th percentile in the segment."),
        Column("population_mean", "float64", "Mean over all known customers."),
        Column("population_sd", "float64", "Standard deviation over all known customers."),
        Column("z", "float64", "Distance of the segment's mean from the population's, in population standard deviations."),
    ),
    key=("segment_id", "feature"),
    largest_first=("z",),
    cells=(HiddenWith("segments", of_hidden_segments, ("mean", "median", "p10", "p90", "z")),),
)  # fmt: skip
CUSTOMER_VALUE = Contract(
    "customer_value", "customer known at the snapshot",
    (
        CUSTOMER_ID,
        Column(
            "value_now", "float64", "Spend per window within the lookback, counted from the window of the first order; of lapsed customers, as it was one lookback ago. "
            "Empty if they were not active then, never ordered, or the source has no orders.", minimum=0,
        ),
        Column(
            "value_at_stake", "float64", "value_now times the share of those in the same segment one snapshot ago who have not ordered since; empty if "
            "nothing was measured: at the first snapshot, and where the segment had fewer than 30 customers.", minimum=0,
        ),
        Column("usual_category", "string", "Category on which the customer spends most within the lookback."),
    ),
    key=("customer_id",),
    lineage={
        "value_now": ("customer_features.monetary", "customers.first_order_at"),
        "value_at_stake": ("customer_segments.segment_id", "customer_activity.orders"),
        "usual_category": ("customer_features.top_category",),
    },
)  # fmt: skip
AUDIENCE_MEMBERS = Contract(
    "audience_members", "list and customer whom an action is for",
    (
        required("list", "string", "List of the action; a customer is in at most one audience of each."),
        CUSTOMER_ID,
        required("action", "string", "Key of the action in the playbook: the one that took the customer, or the first that is for a suppressed one."),
        Column("role", "string", "`treated`: to be contacted; `holdout`: not contacted, to measure by; `suppressed`: not contacted.", False, allowed=tuple(Role)),
        Column("reason", "string", "Why the customer is not contacted; empty if treated. A holdout is the action's own, or the universal control group.", allowed=tuple(Reason)),
        SEGMENT_ID,
        Column("own_segment", "string", "Own segment through which the action is for the customer; empty if through a segment of the model or by rule."),
        Column("channel", "string", "Through which channel; empty if the action was handed over and is no longer in the playbook."),
        Column("offer", "string", "What is offered, from the playbook."),
        Column("product", "string", "What is recommended: the customer's usual category, the next one, or a text of the playbook."),
        Column("value_at_stake", "float64", "As in customer_value.", minimum=0),
        required("cost", "float64", "Cost of the contact; 0 without one, and if it was made for an earlier snapshot.", minimum=0),
        Column("handed_over", "timestamp(6)", "When this assignment was handed over, in UTC; empty before it is."),
    ),
    key=("list", "customer_id"),
    lineage={
        "segment_id": ("customer_segments.segment_id",), "own_segment": ("own_segment_members.own_segment",),
        "value_at_stake": ("customer_value.value_at_stake",), "product": ("customer_value.usual_category", "customer_category_activity.category"),
        "reason": ("customers.customer_id",),
    },
)  # fmt: skip
UNIVERSAL_CONTROL = Contract(
    "universal_control", "universal control group that stands at the snapshot; none if no share is set",
    (
        required("period", "int64", "Number of the group: another one stands in each period."),
        required("share", "float64", "Share of all customers that is drawn into it, from the settings.", **SHARE),
        Column("customers", "int64", "Customers known at the snapshot who are in it, whether or not an action is for them.", minimum=0),
        required("since", "date", "First snapshot at which it stands."),
        required("until", "date", "Snapshot at which others take its place."),
    ),
    key=("period",),
    lineage={"customers": ("customer_segments.customer_id",)},
    cells=(Cells("customers"),),
)  # fmt: skip
ROLES = ("customers_treated", "customers_holdout", "customers_control", "customers_suppressed")
WHOM_FOR = ("reason", *ROLES, "customers_beyond", "value_now", "value_at_stake", "cost")


def _fewest_of_a_role(rows: pd.DataFrame) -> pd.Series:
    """The smallest number of customers in a role, of those that have any: as they may add up to the eligible, none is shown without the others."""
    numbers = rows[list(ROLES)]
    return numbers.where(numbers > 0).min(axis=1)


SEGMENT_ACTIONS = Contract(
    "segment_actions", "segment and action that is for customers in it",
    (
        SEGMENT_ID,
        required("segment_name", "string", "Name of the segment."),
        required("action", "string", "What marketing does."),
        required("channel", "string", "Through which channel."),
        required("reason", "string", "Why this action for this segment, and what is at stake."),
        required("priority", "int64", "1 is done first: as set, else by the value at stake.", minimum=1, maximum=9),
        Column("play", "string", "Key of the action in the playbook, as in audience_members.action."),
        Column("list", "string", "Its list."),
        Column("customers_eligible", "int64", "Customers of the segment whom the action is for.", minimum=0),
        Column("customers_treated", "int64", "Those to be contacted by it.", minimum=0),
        Column("customers_holdout", "int64", "Those it leaves alone, to measure by: its own holdout.", minimum=0),
        Column("customers_control", "int64", "Those it leaves alone because they are in the universal control group; with them nothing is compared.", minimum=0),
        Column("customers_suppressed", "int64", "Those not to be contacted, for a reason in audience_members; the rest are taken by other actions.", minimum=0),
        Column("customers_beyond", "int64", "Those it is for and its budget or limit does not reach, though a later action of the list may.", minimum=0),
        Column("value_now", "float64", "What the eligible spend per window; empty if it is known of none.", minimum=0, money=True),
        Column("value_at_stake", "float64", "How much of it is at stake; empty if nothing was measured.", minimum=0, money=True),
        Column("cost", "float64", "Cost of the contacts.", minimum=0, money=True),
        Column("holdout_share", "float64", "Share of its customers that it leaves alone, from the playbook; deliveries record it.", **SHARE),
    ),
    key=("segment_id", "play"),
    lineage={
        "customers_treated": ("audience_members.role",), "customers_holdout": ("audience_members.role",),
        "customers_control": ("audience_members.reason",),
        "customers_suppressed": ("audience_members.role",), "cost": ("audience_members.cost",),
        "value_now": ("customer_value.value_now",), "value_at_stake": ("customer_value.value_at_stake",),
    },
    cells=(
        HiddenWith("segments", of_hidden_segments, ("customers_eligible", *WHOM_FOR)), HiddenWith("segments", if_total_is_hidden, ("reason",)),
        Cells("customers_eligible", WHOM_FOR), Cells(_fewest_of_a_role, (*ROLES, "cost")), Cells("customers_beyond"),
    ),
)  # fmt: skip
