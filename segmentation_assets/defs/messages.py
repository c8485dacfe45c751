"""The text of alerts: one message per event of a run, for readers in marketing or data.

Belongs here: which rows are an event, and the words. Sending, and Dagster's instance, are in `alerts`. The text is
plain, with blank lines around paragraphs and lists, so that it looks the same in a mail and on a Markdown card.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg
import pandas as pd

from segmentation_assets.core.customers.volume import QUIET
from segmentation_assets.core.model import naming
from segmentation_assets.settings.alerts import Event
from segmentation_assets.visible import visible
from segmentation_assets.vocabulary import Decision, DriftKind, Tier, counted

MOST_LINES = 6  # with the rest, about a thousand characters, the limit of a Teams card
MOST_CHARACTERS = 600
# Siddiqi (2006), Credit Risk Scorecards: below 0.10 no change, up to 0.25 a small one, above it a major one.
READ_PSI = "A PSI of up to 0.25 is commonly read as a moderate change, a higher one as a large change."
FIT = "If the model uses any of these features, segments may fit less well."
AFTER_PUBLISHING = "is in the database, but the run failed after that."
TIERS = {Tier.DISTINCT: "distinct segments", Tier.CONVENIENT: "a convenient partition", Tier.GRID: "a grid"}


@dataclass(frozen=True)
class Message:
    """The title and text for one event."""

    event: Event
    title: str
    body: str


def of_drift(report: pd.DataFrame, snapshot: str, link: str) -> list[Message]:
    """One message on everything that `drift_report` flags: the segment mix, the model's features, the others; largest change first."""
    known = "in_model" in report  # else any feature may be one that the model uses
    report = report.assign(mix=report["kind"] == DriftKind.SEGMENT_MIX, used=_true(report["in_model"]) if known else True)
    flagged = report[_true(report["flagged"])].sort_values(["mix", "used", "value"], ascending=False)
    if flagged.empty:
        return []
    subjects = list(flagged.groupby(["kind", "subject"], sort=False))
    mix, used = flagged["mix"].any(), (flagged["used"] & ~flagged["mix"]).any()
    meaning = [READ_PSI] if flagged["statistic"].eq("psi").any() else []
    if mix:
        meaning.append("Segment sizes differ from those at training, so campaigns reach different numbers of customers.")
    if used:
        meaning.append("The model uses some of these features, so segments may fit less well." if known else FIT)
    elif not mix:
        meaning.append("The model does not use these features, so segments are not affected.")
    return [
        Message(
            "drift",
            f"Customer segments {snapshot}: {_changed(subjects)} drifted",
            _body(
                f"Changed since the model was trained, as of snapshot {snapshot}:",
                [_drift_line(kind, subject, rows) for (kind, subject), rows in subjects],
                " ".join(meaning),
                "First make sure that the source is complete, with no file or shop missing. If the change is real, such as a season, look "
                "at the segments' profiles before the next campaign. What became of the model: segmentation models",
                link,
            ),
        )
    ]


def of_volume(volume: pd.DataFrame, snapshot: str, link: str) -> list[Message]:
    """One message on the sources that `source_volume` finds empty, low or ending early."""
    found = volume[~volume["verdict"].isin(QUIET)]
    if found.empty:
        return []
    return [
        Message(
            "volume",
            f"Customer segments {snapshot}: rows of {naming.listed(found['source'].tolist())} are missing",
            _body(
                f"Fewer rows than usual arrived for snapshot {snapshot}:",
                found["sentence"].tolist(),
                "Customers whose orders did not arrive look less active than they are, and may be classified as lapsed.",
                "Make sure that every file and shop has delivered before anyone acts on these segments. If business really was this quiet, "
                "nothing needs to be done.",
                link,
            ),
        )
    ]


def of_checks(evaluations: Sequence[dg.AssetCheckEvaluation], snapshot: str, link: str, published: bool) -> list[Message]:
    """One message on the checks that failed as errors. Warnings send no alert: drift, the one that matters, has its own message."""
    last = {(one.asset_key, one.check_name): one for one in evaluations}
    failed = [one for one in last.values() if not one.passed and one.severity == dg.AssetCheckSeverity.ERROR]
    if not failed:
        return []
    outcome = "The snapshot was published nevertheless." if published else "The snapshot was not published; the database is unchanged."
    return [
        Message(
            "failed_check",
            f"Customer segments {snapshot}: {counted(len(failed), 'failed check')}",
            _body(
                f"Failed at snapshot {snapshot}:",
                [f"{one.asset_key.to_user_string()}, {one.check_name}: {one.description or 'failed'}" for one in failed],
                f"Checks make sure that every row is accounted for, sums agree and values are possible. {outcome}",
                f"Correct the source or setting named above, then make the snapshot again: segmentation run --snapshot {snapshot}",
                link,
            ),
        )
    ]


def of_failure(step: str | None, cause: str, snapshot: str, link: str, published: bool = False) -> list[Message]:
    """The message on a failed run: the step, and the message of the error that caused it."""
    return [
        Message(
            "failed_run",
            f"Customer segments {snapshot}: the run failed" + (f" at {step}" if step else ""),
            _body(
                f"Snapshot {snapshot} could not be {'finished' if published else 'made'}:",
                [f"{step or 'outside of any step'}: {cause}"],
                f"The snapshot {AFTER_PUBLISHING if published else 'was not published; the database and its segments are unchanged.'}",
                f"Remove the cause, then make {'its report' if published else 'the snapshot'} again: "
                f"segmentation {'pictures' if published else 'run'} --snapshot {snapshot}",
                link,
            ),
        )
    ]


def of_models(registry: pd.DataFrame, snapshot: str, link: str) -> list[Message]:
    """A message on a promoted model, and one on a rollback; none on a first model, or one carried forward or refused."""
    messages = []
    for decision in (Decision.PROMOTED, Decision.ROLLED_BACK):
        rows = registry[registry["decision"] == decision]
        if "in_force" in rows and _true(rows["in_force"]).any():
            rows = rows[_true(rows["in_force"])]  # not the one it replaces
        if not rows.empty:
            messages.append(_model_message(rows.iloc[0], decision, snapshot, link))
    return messages


def _model_message(row: pd.Series, decision: str, snapshot: str, link: str) -> Message:
    left = decision == Decision.ROLLED_BACK and not bool(row.get("in_force", True))
    happened = "was rolled back" if left else "is in force again" if decision == Decision.ROLLED_BACK else "is now in force"
    tier = "" if pd.isna(row["tier"]) else f": {TIERS.get(row['tier'], row['tier'])}"
    fitted = f"fitted on the customers of snapshot {pd.Timestamp(row['fitted_snapshot']).date()}"
    return Message(
        "promoted_model",
        f"Customer segments {snapshot}: model {row['model_version']} {happened}",
        _body(
            f"Model {row['model_version']} {happened}, from snapshot {snapshot} on ({decision}):",
            [f"{row['algorithm']}, {counted(int(row['k']), 'segment')}{tier}", fitted, f"why: {row['reason']}"],
            "Segment sizes and borders may have changed, and some customers moved because of the new model, not because of what they "
            "bought.",
            "Look at the segments' profiles and at who moved before the next campaign: segmentation show",
            link,
        ),
    )


def _true(values: pd.Series) -> pd.Series:
    return values.fillna(False).astype(bool)


def _drift_line(kind: str, subject: str, rows: pd.DataFrame) -> str:
    what = "segment mix" if kind == DriftKind.SEGMENT_MIX else subject
    figures = "; ".join(_figure(row) for row in rows.to_dict("records"))
    return f"{what}: {figures}" + ("" if kind == DriftKind.SEGMENT_MIX or rows["used"].any() else ", not used by the model")


OTHERS = {
    DriftKind.SEGMENT_MIX: "the segment mix",
    DriftKind.DISTANCE: "the distance to the nearest prototype",
    DriftKind.JOINT: "how features go together",
}


def _changed(subjects: Sequence[tuple[tuple[str, str], pd.DataFrame]]) -> str:
    kinds = [kind for (kind, _), _ in subjects]
    features = [counted(kinds.count("feature"), "feature")] if "feature" in kinds else []
    return naming.listed([*features, *(words for kind, words in OTHERS.items() if kind in kinds)])


def _figure(row: dict[str, object]) -> str:
    name = str(row["statistic"])
    value = "cannot be computed" if pd.isna(row["value"]) else f"{row['value']:.2f}"
    sure = "" if pd.isna(row.get("q_value")) else f", q = {row['q_value']:.3f}"
    return f"{name.upper() if len(name) <= 3 else name} {value} (flagged above {row['threshold']:.2f}{sure})"


def _body(opening: str, lines: Sequence[str], meaning: str, to_do: str, link: str) -> str:
    shown = [f"- {_short(line)}" for line in lines[:MOST_LINES]]
    if len(lines) > MOST_LINES:
        shown.append(f"- and {len(lines) - MOST_LINES} more")
    return "\n\n".join((opening, "\n".join(shown), f"What it means: {meaning}", f"What to do: {to_do}", f"Details: {link}"))


def _short(text: str) -> str:
    one_line = visible(" ".join(text.split()))
    return one_line if len(one_line) <= MOST_CHARACTERS else f"{one_line[: MOST_CHARACTERS - 1]}…"
