"""How customers answered campaigns that the source reports: a description by segment.

It is not causal: nobody was held out, and who received a campaign was chosen, perhaps because they would have answered anyway. What an
action causes is in `lift`.
"""

from collections.abc import Sequence

import ibis.expr.types as ir
import pandas as pd

from segmentation_assets.core.application.arms import LEVEL

COLUMNS = ("campaign", "segment_id", "segment_name", "first_window", "received", "responded", "share", "share_low", "share_high")


def campaign_response(events: ir.Table, segments: ir.Table, received: str, responses: Sequence[str]) -> pd.DataFrame:
    """One row (COLUMNS) per campaign and segment in which its recipients were before they received it.

    The interval is Wilson's (1927). Whoever was not known at the snapshot before counts without a segment; a campaign that still runs, with
    the responses so far.

    Args:
        events: customer_event_activity, as far back as campaigns are looked at.
        segments: customer_segments with snapshot_date, of the snapshots at which these windows begin.
        received: event type for receiving a campaign.
        responses: event types for responding to one.
    """
    named = events.filter(events.subject.notnull()).select("customer_id", "event_type", "window_start", campaign="subject")
    got = named.filter(named.event_type == received).group_by("customer_id", "campaign").agg(window_start=lambda t: t.window_start.min())
    answers = named.filter(named.event_type.isin(list(responses))).group_by("customer_id", "campaign").agg(
        last=lambda t: t.window_start.max()
    )  # fmt: skip
    with_answers = got.left_join(answers, ["customer_id", "campaign"]).select(
        *(got[name] for name in got.columns), responded=(answers["last"] >= got.window_start).fill_null(False)
    )
    place = segments.select("customer_id", "segment_id", "segment_name", window_start=segments.snapshot_date)
    placed = with_answers.left_join(place, ["customer_id", "window_start"])
    counted = placed.group_by("campaign", "segment_id").agg(
        segment_name=placed.segment_name.argmax(placed.window_start),  # the last, if it was renamed while the campaign ran
        first_window=placed.window_start.min(),
        received=placed.count(),
        responded=placed.responded.sum(),
    )
    found = counted.to_pyarrow().to_pandas(date_as_object=False)
    found["segment_id"] = found["segment_id"].astype("Int64")
    intervals = [_interval(int(k), int(n)) for k, n in zip(found["responded"], found["received"], strict=True)]
    found["share"] = found["responded"] / found["received"]
    found["share_low"], found["share_high"] = [low for low, _ in intervals], [high for _, high in intervals]
    return found[list(COLUMNS)]


def _interval(answered: int, of: int) -> tuple[float, float]:
    from scipy.stats import binomtest

    found = binomtest(answered, of).proportion_ci(1 - LEVEL, method="wilson")
    return float(found.low), float(found.high)
