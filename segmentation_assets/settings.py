"""The settings file as Pydantic models: every field described, bounded and defaulted.

Belongs here: what a person may edit in `segmentation.yaml`, and the errors they see when they get it wrong.
Does not belong here: what the settings do.
"""

import datetime as dt
import difflib
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from segmentation_assets.core.wording import counted
from segmentation_assets.settings_alerts import Alerts
from segmentation_assets.settings_cleaning import Cleaning
from segmentation_assets.settings_section import Section, Zone
from segmentation_assets.settings_source import SourceSettings, Tables
from segmentation_assets.settings_todo import unfilled
from segmentation_assets.settings_volume import Volume

SOURCE_KINDS = ("complete_journey", "tables")
SETTINGS_VARIABLE = "SEGMENTATION_SETTINGS"
DATA_DIR_VARIABLE = "SEGMENTATION_DATA_DIR"
DEFAULT_SETTINGS_FILE = Path("segmentation.yaml")


class SettingsError(ValueError):
    """The settings cannot be used; the message names each key, what was found, and what is allowed."""


EARLIEST = dt.date(1900, 1, 1)  # Dagster's keys of partitions take years of four digits only


class Snapshots(Section):
    """Which as-of dates exist. A snapshot knows everything strictly before its date (00:00 in `timezone`)."""

    first: dt.date = Field(description="Date of the first snapshot; it also takes in all earlier history.")
    last: dt.date | None = Field(None, description="Date of the last snapshot; empty means: up to today.")
    cadence: Literal["monthly", "weekly", "daily"] = Field("monthly", description="Time between two snapshots.")
    timezone: Zone = Field(
        "UTC",
        description="Zone in which days and months end, such as Europe/Amsterdam; all times are converted to it. After a change every "
        "snapshot has to be made again: `segmentation run --all`.",
    )

    @model_validator(mode="after")
    def _dates_fit(self) -> "Snapshots":
        if self.first < EARLIEST:
            raise ValueError(f"first: {self.first} is before any order can have been; use a date from {EARLIEST} on")
        if self.cadence == "monthly" and self.first.day > 28:
            raise ValueError(f"first: day {self.first.day} does not exist in every month; use a day from 1 to 28")
        if self.last is not None and self.last < self.first:
            raise ValueError(f"last: {self.last} is before first: {self.first}")
        return self


class Features(Section):
    """How customers are described: how far back, and what their events mean."""

    lookback: int = Field(12, ge=1, le=520, description="Length of the lookback, in snapshot windows (cadence).")
    trend_windows: int | None = Field(
        None,
        ge=1,
        description="Length of the lookback's last part, which trends compare with the part before, in windows; empty: a third.",
    )
    event_types: tuple[str, ...] = Field((), description="Event types that become features of their own: count and recency.")
    campaign_event: str = Field(
        "campaign_received", min_length=1, description="Event of having received a campaign, which its subject names."
    )
    response_events: tuple[str, ...] = Field(
        ("coupon_redeemed",), description="Events of having responded to the campaign that their subject names."
    )

    @model_validator(mode="after")
    def _trend_fits(self) -> "Features":
        if self.trend_windows is not None and self.trend_windows > self.lookback:
            raise ValueError(f"trend_windows: {self.trend_windows} is longer than the lookback of {counted(self.lookback, 'window')}")
        columns = [re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") for name in self.event_types]
        if "" in columns or len(set(columns)) < len(columns):
            raise ValueError(f"event_types: {', '.join(self.event_types)} do not give each a column name of its own")
        return self


class Exploration(Section):
    """What is drawn at each snapshot."""

    pictures: bool = Field(True, description="Whether pictures are drawn; the tables with their numbers are always made.")
    currency: str = Field("", max_length=20, description="What pictures call the currency of amounts, such as EUR; empty: currency units.")


Algorithm = Literal["kmeans", "weighted_kmeans", "ward", "dbscan", "hdbscan"]


class Model(Section):
    """How active customers are clustered, and what may be called distinct segments."""

    features: tuple[str, ...] = Field(
        ("recency_days", "frequency", "monetary"),
        min_length=1,
        description="Columns of customer_features that enter the clustering; text is taken as categories.",
    )
    categorical: tuple[str, ...] = Field((), description="Those of the features whose numbers are codes of categories.")
    weights: dict[str, Annotated[float, Field(ge=0, le=100)]] = Field(
        {}, description="Weight of a feature in the squared distance, such as `monetary: 2`; 1 where not named."
    )
    transform: Literal["declared", "log", "yeo-johnson", "none"] = Field(
        "declared",
        description="Transform of numeric features: each its own, as the data dictionary has it (attributes: log), or one for all; "
        "log is signed log1p.",
    )
    scaling: Literal["standard", "range", "robust"] = Field(
        "standard", description="Unit of a numeric feature: standard deviation, range, or interquartile range."
    )
    winsorize: float = Field(
        0.005,
        ge=0,
        le=0.2,
        description="Share of customers at each end whose values are moved to the quantile there; none where it is less than one customer.",
    )
    algorithms: tuple[Algorithm, ...] = Field(
        ("kmeans", "weighted_kmeans", "ward", "dbscan"),
        min_length=1,
        description="Families tried: kmeans (needed), weighted_kmeans, ward, dbscan, hdbscan. The density families are diagnostics.",
    )
    k: int = Field(5, ge=2, le=50, description="Number of segments where no distinct ones exist: the business's choice.")
    fallback_k: int = Field(3, ge=2, le=50, description="Number of segments instead, where a cluster dissolves at `k`.")
    k_min: int = Field(2, ge=2, le=50, description="Smallest number of segments that is tried as a candidate.")
    k_max: int = Field(10, ge=2, le=50, description="Largest number of segments that is tried as a candidate.")
    min_share: float = Field(0.02, ge=0, le=0.5, description="Smallest share of active customers that a distinct segment may have.")
    min_count: int = Field(30, ge=1, le=1_000_000, description="Fewest customers that a distinct segment may have.")
    stable_jaccard: float = Field(0.75, ge=0, le=1, description="Bootstrap Jaccard that every distinct segment must reach.")
    dissolved_jaccard: float = Field(0.60, ge=0, le=1, description="Bootstrap Jaccard below which a cluster of `k` counts as dissolved.")
    valley_level: float = Field(0.05, gt=0, lt=1, description="p-value of the valley gate below which neighbours count as separated.")
    resamples: int = Field(100, ge=10, le=1_000, description="Bootstrap resamples of the stability of clusters.")
    splits: int = Field(5, ge=1, le=50, description="Times the rows are halved for the valley gate.")
    sample: int = Field(10_000, ge=100, le=1_000_000, description="Customers on whom candidates are fitted; the chosen one sees all.")
    stability_sample: int = Field(2_000, ge=100, le=100_000, description="Customers on whom stability is measured.")
    gate_sample: int = Field(10_000, ge=100, le=1_000_000, description="Customers on whom the valley gate is measured.")
    eps: float | None = Field(None, gt=0, description="Radius of dbscan, in scaled units; empty: read off the k-distance curve.")
    min_samples: int | None = Field(
        None, ge=2, description="Neighbours that make a customer a core of dbscan; empty: twice the dimensions, at least 5."
    )
    seed: int = Field(20170401, ge=0, le=2**32 - 1, description="Seed of every random choice.")

    @model_validator(mode="after")
    def _range_fits(self) -> "Model":
        if self.k_min > self.k_max:
            raise ValueError(f"k_min: {self.k_min} is above k_max: {self.k_max}")
        if "kmeans" not in self.algorithms:
            raise ValueError("algorithms: kmeans is missing; it makes the convenient partition where no segments are distinct")
        for key, named in (("categorical", self.categorical), ("weights", tuple(self.weights))):
            unknown = [name for name in named if name not in self.features]
            if unknown:
                raise ValueError(f"{key}: {', '.join(unknown)} is not among the features {', '.join(self.features)}")
        return self


class Play(Section):
    """One line of the playbook: what to do for a segment of this character."""

    action: str = Field(min_length=1, description="What marketing does.")
    channel: str = Field(min_length=1, description="Where it is done, such as e-mail or till receipt.")
    priority: int = Field(ge=1, le=9, description="1 is done first.")


class Movement(Section):
    """How far back the paths of customers through the segments are followed."""

    history: int = Field(6, ge=2, le=60, description="Snapshots over which paths, stays and chances to move are counted.")


Character = Literal[
    "champions", "loyal", "big_baskets", "new", "promising", "steady", "slipping", "at_risk", "dormant", "occasional",
    "lapsed", "returned", "prospect",
]  # fmt: skip
CHARACTERS: tuple[str, ...] = get_args(Character)

PLAYBOOK: dict[Character, Play] = {
    "champions": Play(action="Thank them: early access and a personal reward, no discount", channel="e-mail", priority=3),
    "loyal": Play(action="Invite into the loyalty programme's next tier", channel="app", priority=4),
    "big_baskets": Play(action="Offer a reason to come more often: a weekly bundle", channel="e-mail", priority=4),
    "new": Play(action="Welcome series with a second-purchase offer", channel="e-mail", priority=2),
    "promising": Play(action="Recommend the next category to try", channel="app", priority=5),
    "steady": Play(action="Keep in the regular newsletter; test cross-sell", channel="newsletter", priority=7),
    "slipping": Play(action="Remind before the habit breaks: coupon on their usual products", channel="e-mail", priority=2),
    "at_risk": Play(action="Win back now with a personal offer and ask why they left", channel="direct mail", priority=1),
    "dormant": Play(action="One low-cost reactivation, then stop spending on them", channel="e-mail", priority=6),
    "occasional": Play(action="Seasonal reminder with a small-basket offer", channel="newsletter", priority=7),
    "lapsed": Play(action="Win-back campaign at low cost; honour opt-outs", channel="e-mail", priority=8),
    "returned": Play(action="Ask what was wrong; no promotion until that is mended", channel="e-mail", priority=6),
    "prospect": Play(action="First-purchase offer", channel="direct mail", priority=5),
}


class Drift(Section):
    """When a change since the model was trained is an alarm: it must be significant, and large enough to matter."""

    alpha: float = Field(
        0.05, gt=0, lt=1, description="Chance of any false alarm in a snapshot where nothing changed (Benjamini-Hochberg over subjects)."
    )
    psi_threshold: float = Field(
        0.10, gt=0, le=10, description="Population stability index below which a change is too small to matter, however significant."
    )
    auc_threshold: float = Field(
        0.60, gt=0.5, lt=1,
        description="Area under the curve of the classifier that tells training from now, below which a change is too small to matter.",
    )  # fmt: skip


class Retrain(Section):
    """When a challenger is trained, and the gates that it must pass to take the champion's place."""

    policy: Literal["on_drift", "always", "never", "max_age"] = Field(
        "on_drift",
        description="When a challenger is trained: on drift of what the model depends on, at every snapshot, never, or at an age.",
    )
    max_age: int = Field(12, ge=1, le=520, description="Age in snapshots at which a challenger is trained, where the policy is max_age.")
    largest_reassigned: float = Field(
        0.50, ge=0, le=1, description="Share of active customers whom a promotion may put into another segment."
    )
    least_fit_gain: float = Field(
        0.01, ge=0, le=1, description="Share of how customers differ that a challenger must explain more than the champion."
    )
    largest_forward_loss: float = Field(
        0.02, ge=0, le=1, description="Share of the spend that followed that a challenger may explain less than the champion."
    )


class Schedule(Section):
    """The scheduled job that re-segments the newest snapshot."""

    enabled: bool = Field(False, description="Whether the schedule is running as soon as the daemon starts.")
    hour: int = Field(6, ge=0, le=23, description="Hour of the day, in `snapshots.timezone`, at which it runs.")
    minute: int = Field(0, ge=0, le=59, description="Minute of the hour.")


class Settings(BaseSettings):
    """Everything a person may set, in `segmentation.yaml` or as `SEGMENTATION_<SECTION>__<KEY>` in the environment."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix="SEGMENTATION_", env_nested_delimiter="__", nested_model_default_partial_update=True,
        hide_input_in_errors=True,  # an address with its secrets may stand in the wrong place
    )  # fmt: skip

    data_dir: Path = Field(
        Path("data"),
        description="Folder where everything is written; relative to the settings file (or, from the environment, to the working folder).",
    )
    snapshots: Snapshots = Field(description="Which as-of dates exist.")
    source: SourceSettings = Field(description="Where the rows come from.")
    volume: Volume = Field(Volume(), description="When a source delivers too little.")
    cleaning: Cleaning = Field(Cleaning(), description="What is repaired, set aside or kept.")
    features: Features = Field(Features(), description="How customers are described.")
    exploration: Exploration = Field(Exploration(), description="What is drawn.")
    model: Model = Field(Model(), description="How active customers are clustered.")
    movement: Movement = Field(Movement(), description="How movement between segments is followed.")
    playbook: dict[Character, Play] = Field(PLAYBOOK, description="Suggested action by character of segment.")
    drift: Drift = Field(Drift(), description="When change is flagged.")
    retrain: Retrain = Field(Retrain(), description="When a model is trained again and promoted.")
    schedule: Schedule = Field(Schedule(), description="The scheduled job.")
    alerts: Alerts = Field(Alerts(), description="Who is told of drift, failures and promoted models.")

    @model_validator(mode="before")
    @classmethod
    def _complete_playbook(cls, values: Any) -> Any:
        plays = values.get("playbook") if isinstance(values, dict) else None
        return {**values, "playbook": {**PLAYBOOK, **plays}} if isinstance(plays, dict) else values

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource, file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:  # fmt: skip
        return env_settings, init_settings

    def model_digest(self) -> str:
        """Twelve hexadecimal digits that change when a setting changes that a fitted model depends on."""
        relevant = {"model": self.model.model_dump(mode="json"), "features": self.features.model_dump(mode="json")}
        return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()[:12]


def settings_file() -> Path:
    """The settings file in force: `SEGMENTATION_SETTINGS`, else `segmentation.yaml` here, else beside the package."""
    named = os.environ.get(SETTINGS_VARIABLE)
    if named:
        return Path(named)
    beside_package = Path(__file__).resolve().parent.parent / DEFAULT_SETTINGS_FILE
    return DEFAULT_SETTINGS_FILE if DEFAULT_SETTINGS_FILE.exists() or not beside_package.exists() else beside_package


def load_settings(path: Path | None = None) -> Settings:
    """Read and validate the settings file, then apply the environment's overrides.

    Raises:
        SettingsError: the file is missing or not YAML, or a key, type or value is wrong. One line per problem.
    """
    path = Path(path) if path is not None else settings_file()
    if not path.is_file():
        raise SettingsError(
            f"{path}: no such settings file. Give one with --settings FILE, or run from the folder that holds segmentation.yaml."
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
        values = yaml.safe_load(text) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read as YAML: {error}") from error
    if not isinstance(values, dict):
        raise SettingsError(f"{path}: holds {type(values).__name__}, expected `key: value` lines.")
    if todo := unfilled(text):
        raise SettingsError("\n".join(f"{path}: {problem}" for problem in todo))
    _check_environment_names()
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise SettingsError("\n".join(f"{path}: {_explain(problem)}" for problem in error.errors())) from error
    base = Path.cwd() if DATA_DIR_VARIABLE in os.environ else path.resolve().parent
    update: dict[str, Any] = {"data_dir": (base / settings.data_dir.expanduser()).resolve()}
    if isinstance(settings.source, Tables):
        update["source"] = settings.source.resolved(path.resolve().parent)
    return settings.model_copy(update=update)


def _check_environment_names() -> None:
    known = [f"SEGMENTATION_{name.upper()}" for name in Settings.model_fields]
    for name in os.environ:
        if name.startswith("SEGMENTATION_") and name != SETTINGS_VARIABLE and name.upper().split("__")[0] not in known:
            raise SettingsError(
                f"environment: {name} is not a setting.{_nearest(name.split('__')[0], known)} Unset it or correct its name."
            )


def _explain(problem: Any) -> str:
    """One pydantic error as a sentence that names the key, what was found, and what is allowed."""
    where = [str(part) for part in problem["loc"] if not str(part).startswith(("function-", "tagged-union"))]
    where = _without_tags(where)
    key = ".".join(where) or "(top level)"
    if problem["type"] == "extra_forbidden":
        allowed = _allowed_keys(where[:-1])
        return f"{key}: no such key.{_nearest(where[-1], allowed)} Allowed here: {', '.join(allowed)}."
    if problem["type"] == "missing":
        return f"{key}: is required and missing."
    if problem["type"] == "union_tag_invalid":
        facts = problem["ctx"]
        tag, allowed = facts["tag"], re.findall(r"'([^']+)'", facts["expected_tags"])
        key += "." + facts["discriminator"].strip("'")
        return f"{key}: found {tag!r}; allowed are {', '.join(allowed)}.{_nearest(tag, allowed)}"
    secretless = re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:***@", repr(problem["input"]))
    secretless = re.sub(r"(?i)((?:password|passwd|pwd|token)=)[^&']*", r"\1***", secretless)
    if where[:1] == ["alerts"] and "://" in secretless:
        secretless = "an address, which is not repeated here"  # of a webhook, all of it is a secret
    found = f"found {secretless}; " if not isinstance(problem["input"], dict | list | tuple) else ""
    message = re.sub(r"^Value error, ", "", problem["msg"])
    hint = _nearest(str(problem["input"]), re.findall(r"'([^']+)'", problem["msg"])) if problem["type"] in {"literal_error", "enum"} else ""
    return f"{key}: {found}{message[:1].lower() + message[1:]}.{hint}"


def _without_tags(where: list[str]) -> list[str]:
    """The path as it stands in the file: without the names pydantic gives to the members of a union."""
    if where[:1] != ["source"]:
        return where
    kept = [part for position, part in enumerate(where) if not (position == 1 and part in SOURCE_KINDS)]
    return [part for position, part in enumerate(kept) if not (position == 3 and part in {"files", "database"})]


def _allowed_keys(where: list[str]) -> list[str]:
    """Keys allowed in the section that the path leads to (all of them, where it may be one of several)."""
    models: list[Any] = [Settings]
    for part in where:
        if not part.isdigit():
            annotations = [model.model_fields[part].annotation for model in models if part in model.model_fields]
            models = [found for annotation in annotations for found in _models_in(annotation)]
    return list(dict.fromkeys(name for model in models for name in model.model_fields))


def _models_in(annotation: Any) -> list[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _nearest(found: str, allowed: list[str]) -> str:
    close = difflib.get_close_matches(found, allowed, n=1, cutoff=0.5)
    return f" Did you mean {close[0]}?" if close else ""
