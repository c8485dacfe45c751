"""The settings file as one model, and the errors that users see if it is wrong."""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Annotated, Any, get_args

import yaml
from pydantic import BaseModel, Field, PrivateAttr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from segmentation_assets.settings.alerts import Alerts
from segmentation_assets.settings.audiences import Audiences
from segmentation_assets.settings.cleaning import Cleaning
from segmentation_assets.settings.customers import AttributeWords, Exploration, Features, Movement
from segmentation_assets.settings.database import Database
from segmentation_assets.settings.delivery import Delivery, inside
from segmentation_assets.settings.delivery import problems as problems_of_delivery
from segmentation_assets.settings.engine import DuckDB, EngineSettings
from segmentation_assets.settings.lake import LakeSettings
from segmentation_assets.settings.model import DriftSettings, ModelSettings, RetrainSettings
from segmentation_assets.settings.own_segments import OwnSegments
from segmentation_assets.settings.playbook import PLAYBOOK, Playbook, problems
from segmentation_assets.settings.privacy import Privacy
from segmentation_assets.settings.report import ReportSettings
from segmentation_assets.settings.retention import Retention
from segmentation_assets.settings.rules import Rules
from segmentation_assets.settings.section import nearest
from segmentation_assets.settings.snapshots import Schedule, Snapshots
from segmentation_assets.settings.source import SourceSettings, Tables
from segmentation_assets.settings.todo import unfilled
from segmentation_assets.settings.volume import Volume

SOURCE_KINDS = ("complete_journey", "tables")
SETTINGS_VARIABLE = "SEGMENTATION_SETTINGS"
DATA_DIR_VARIABLE = "SEGMENTATION_DATA_DIR"
DEFAULT_SETTINGS_FILE = Path("segmentation.yaml")


Owner = Annotated[str, Field(pattern=r"^(team:[\w.-]+|[^@\s]+@[^@\s]+\.[^@\s]+)$")]


class SettingsError(ValueError):
    """The settings cannot be used; the message names each key, what was found, and what is allowed."""


class Settings(BaseSettings):
    """All settings, from `segmentation.yaml` or as `SEGMENTATION_<SECTION>__<KEY>` in the environment."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix="SEGMENTATION_", env_nested_delimiter="__", nested_model_default_partial_update=True,
        hide_input_in_errors=True,  # an address with its secrets may be in the wrong place
    )  # fmt: skip

    data_dir: Path = Field(
        Path("data"),
        description="Folder for all output; relative to the settings file (or, if set in the environment, to the working folder).",
    )
    snapshots: Snapshots = Field(description="Which as-of dates exist.")
    source: SourceSettings = Field(description="Where the rows come from.")
    volume: Volume = Field(Volume(), description="When a source delivers too little.")
    cleaning: Cleaning = Field(Cleaning(), description="What to repair, set aside or keep.")
    features: Features = Field(Features(), description="How customers are described.")
    exploration: Exploration = Field(Exploration(), description="What to draw.")
    model: ModelSettings = Field(ModelSettings(), description="How active customers are clustered.")
    attributes: dict[str, AttributeWords] = Field(
        {},
        description="What people call attributes of customers, such as `annual_income: {label: annual income, unit: k$}`,"
        " and the `order` of their levels, such as `tier: {order: [bronze, silver, gold]}`.",
    )
    outcome: str | None = Field(
        None,
        min_length=1,
        description="Attribute of customers, a number or yes/no such as `response`, by which segments are judged: at the next snapshot, "
        "or at the same one if there is no other. It never enters a model.",
    )
    movement: Movement = Field(Movement(), description="How movement between segments is followed.")
    own_segments: OwnSegments = Field(
        {},
        max_length=100,
        description="Segments of one's own: a name, and a condition such as `monetary > 1000 and recency_days > 60`, or a section with "
        "`condition` and `description` (docs/own-segments.md).",
    )
    rules: Rules = Field(Rules(), description="The rule of each segment.")
    playbook: Playbook = Field(
        PLAYBOOK,
        max_length=100,
        description="Actions by key: one of a character replaces the shipped one, an empty one turns it off, others say whom they are "
        "`for` (docs/acting.md).",
    )
    audiences: Audiences = Field(Audiences(), description="Whom actions contact, and whom never.")
    delivery: Delivery = Field(Delivery(), description="Where audiences are handed over.")
    drift: DriftSettings = Field(DriftSettings(), description="When change is flagged.")
    retrain: RetrainSettings = Field(RetrainSettings(), description="When a model is trained again and promoted.")
    privacy: Privacy = Field(Privacy(), description="What of people's data is kept, shown and modelled.")
    report: ReportSettings = Field(ReportSettings(), description="How the report writes figures.")
    schedule: Schedule = Field(Schedule(), description="The scheduled job.")
    database: Database = Field(Database(), description="What the published database holds itself.")
    retention: Retention = Field(Retention(), description="How long records and reports of runs are kept.")
    alerts: Alerts = Field(Alerts(), description="Who is notified, and about what.")
    engine: EngineSettings = Field(DuckDB(), description="What computes the tables, and what a run may take of the machine.")
    lake: LakeSettings = Field(LakeSettings(), description="The lake that several machines share.")
    owners: tuple[Owner, ...] = Field((), description="Who owns the tables, as shown in Dagster: e-mail addresses, or `team:name`.")

    _folder: Path = PrivateAttr(Path("/"))  # of the settings file

    @model_validator(mode="before")
    @classmethod
    def _complete_playbook(cls, values: Any) -> Any:
        plays = values.get("playbook") if isinstance(values, dict) else None
        return {**values, "playbook": {**PLAYBOOK, **plays}} if isinstance(plays, dict) else values

    @model_validator(mode="after")
    def _playbook_fits(self) -> "Settings":
        if found := problems(self.playbook, self.own_segments):
            raise ValueError("\n".join(found))
        done = {name: play for name, play in self.playbook.items() if play is not None}
        if found := problems_of_delivery(self.delivery, done, (play.list for play in done.values()), self.privacy.sensitive):
            raise ValueError("\n".join(found))
        if self.audiences.require_consent and not self.source.has_consent:
            raise ValueError(
                "audiences.require_consent: no table of source.customers maps consent among its columns. Map it, or remove this"
            )
        return self

    @model_validator(mode="after")
    def _privacy_fits(self) -> "Settings":
        if self.privacy.pseudonyms and not isinstance(self.source, Tables):
            raise ValueError("privacy.pseudonyms: the ids of the demo data are not people's; it goes with source.kind tables")
        named = {*self.model.features, *self.model.categorical}
        if entering := sorted(named & set(self.privacy.sensitive)):
            raise ValueError(
                f"model.features: {', '.join(entering)} is in privacy.sensitive, and sensitive attributes never enter a model. "
                "Remove it from one of the two"
            )
        if self.outcome is not None and self.outcome in named:
            raise ValueError(
                f"model.features: {self.outcome} is the outcome, by which segments are judged, so they must not be made of it. "
                "Remove it from one of the two"
            )
        return self

    @model_validator(mode="after")
    def _shared_lake_fits(self) -> "Settings":
        if self.lake.url and self.delivery.destinations:
            raise ValueError(
                "delivery.destinations: goes with no lake.url, because who was contacted is recorded on one machine only, and another "
                "could contact them again. Remove one of the two"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource, file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:  # fmt: skip
        return env_settings, init_settings

    @property
    def labels(self) -> dict[str, str]:
        """What people call attributes, where the settings say it."""
        return {name: words.label for name, words in self.attributes.items() if words.label}

    @property
    def level_orders(self) -> dict[str, tuple[str, ...]]:
        """The levels of attributes in their order, where the settings say it."""
        return {name: words.order for name, words in self.attributes.items() if words.order}

    def without_folder(self, text: str) -> str:
        """The text with paths in the folder of the settings file relative to it, so that a folder that was moved reads the same."""
        return text if self._folder == Path("/") else text.replace(f"{self._folder}/", "")

    def model_digest(self) -> str:
        """Twelve hexadecimal digits that change with any setting that a fitted model depends on."""
        model = self.model.model_dump(mode="json")
        if self.model.stability_sample == ModelSettings.model_fields["stability_sample"].default:
            model["stability_sample"] = 2_000  # the default of version 0.1.0, whose models are still in force
        if self.model.near_copies == ModelSettings.model_fields["near_copies"].default:
            del model["near_copies"]  # which version 0.1.0 does not have
        if self.model.tier == "auto":  # of earlier versions, whose models are still in force
            del model["tier"], model["grid"]
        relevant = {"model": model, "features": self.features.model_dump(mode="json")}
        return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()[:12]


def settings_file() -> Path:
    """The settings file in force: `SEGMENTATION_SETTINGS`, else `segmentation.yaml` here, else the one next to the package."""
    named = os.environ.get(SETTINGS_VARIABLE)
    if named:
        return Path(named)
    beside_package = Path(__file__).resolve().parents[2] / DEFAULT_SETTINGS_FILE
    return DEFAULT_SETTINGS_FILE if DEFAULT_SETTINGS_FILE.exists() or not beside_package.exists() else beside_package


def load_settings(path: Path | None = None) -> Settings:
    """Read and validate the settings file, then apply the environment's overrides.

    Raises:
        SettingsError: the file is missing or not YAML, or a key, type or value is wrong. One line per problem.
    """
    path = Path(path) if path is not None else settings_file()
    if not path.is_file():
        raise SettingsError(
            f"{path}: no such settings file. Name one with --settings FILE, or run from the folder that holds segmentation.yaml."
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
        values = yaml.load(text, _UniqueKeys) or {}  # noqa: S506  # a SafeLoader
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or a date that does not exist
        raise SettingsError(f"{path}: cannot be read as YAML: {error}") from error
    except RecursionError:
        raise SettingsError(f"{path}: is nested too deeply. Settings are nested a few levels deep: see segmentation settings") from None
    if not isinstance(values, dict):
        raise SettingsError(f"{path}: holds {type(values).__name__}, expected `key: value` lines.")
    if todo := unfilled(text):
        raise SettingsError("\n".join(f"{path}: {problem}" for problem in todo))
    _check_environment_names()
    try:
        settings = Settings(**values)
    except ValidationError as error:
        problems = [line for problem in error.errors() for line in _explain(problem).splitlines()]
        raise SettingsError("\n".join(f"{path}: {line}" for line in problems)) from error
    folder = path.resolve().parent
    base = Path.cwd() if DATA_DIR_VARIABLE in os.environ else folder
    update: dict[str, Any] = {"data_dir": (base / settings.data_dir.expanduser()).resolve(), "lake": settings.lake.resolved(folder)}
    if isinstance(settings.source, Tables):
        update["source"] = settings.source.resolved(folder)
    if settings.audiences.suppression:
        update["audiences"] = settings.audiences.resolved(folder)
    if settings.delivery.destinations:
        update["delivery"] = settings.delivery.resolved(folder)
    if settings.engine.temp_folder is not None:
        update["engine"] = settings.engine.model_copy(update={"temp_folder": folder / settings.engine.temp_folder.expanduser()})
    loaded = settings.model_copy(update=update)
    loaded._folder = folder
    if loaded.lake.url and not loaded.lake.in_bucket and Path(loaded.lake.url).is_relative_to(loaded.data_dir):
        raise SettingsError(f"{path}: lake.url: is in the data folder {loaded.data_dir}, which is one machine's. Name a folder outside it.")
    if found := inside(loaded.delivery, loaded.data_dir):
        raise SettingsError("\n".join(f"{path}: {problem}." for problem in found))
    return loaded


class _UniqueKeys(yaml.SafeLoader):
    """YAML without the trap that a key which stands twice silently means the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        found = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        if twice := sorted({str(key) for key in found if found.count(key) > 1}):
            raise ValueError(f"{', '.join(twice)} is there twice, from line {node.start_mark.line + 1} on; keep one")
        return super().construct_mapping(node, deep)


def _check_environment_names() -> None:
    known = [f"SEGMENTATION_{name.upper()}" for name in Settings.model_fields]
    for name in os.environ:
        if name.startswith("SEGMENTATION_") and name != SETTINGS_VARIABLE and name.upper().split("__")[0] not in known:
            raise SettingsError(f"environment: {name} is not a setting.{nearest(name.split('__')[0], known)} Unset it or correct its name.")


SECRET_KEYS = ("key_variable", "password_variable", "secret_variable", "token_variable", "url_variable")
# What must be written, by the beginning of pydantic's type of error; where there is none, pydantic's own words say it.
EXPECTED = {
    "int": "must be a whole number",
    "float": "must be a number",
    "decimal": "must be a number",
    "bool": "must be true or false",
    "string_type": "must be text; numbers and true or false need quotes",
    "tuple": "must be a list, like [one, two]",
    "list": "must be a list, like [one, two]",
    "date": "must be a date, like 2024-01-31",
    "path": "must be a path, in quotes",
    "model_": "must be a section of `key: value` lines",
    "dict": "must be a section of `key: value` lines",
    "too_short": "must have at least one item",
    "union_tag_not_found": "must be a section that says what `kind` it is",
}


def _explain(problem: Any) -> str:
    """One pydantic error as a sentence: the key, what was found, and what is allowed. One over several sections names its keys itself."""
    where = _without_tags([part for part in problem["loc"] if not str(part).startswith(("function-", "tagged-union"))])
    key = _spoken(where)
    if not key:
        return re.sub(r"^Value error, ", "", problem["msg"])
    if problem["type"] == "extra_forbidden":
        allowed = _allowed_keys(where[:-1])
        if where[-1] in allowed:
            return f"{key}: does not go with the other keys here; it belongs to another kind of entry. Remove it, or correct the others."
        return f"{key}: no such key.{nearest(str(where[-1]), allowed)} Allowed here: {', '.join(allowed)}."
    if problem["type"] == "missing":
        return f"{key}: is required and missing."
    if problem["type"] == "union_tag_invalid":
        facts = problem["ctx"]
        tag, allowed = facts["tag"], re.findall(r"'([^']+)'", facts["expected_tags"])
        key += "." + facts["discriminator"].strip("'")
        return f"{key}: found {tag!r}; allowed are {', '.join(allowed)}.{nearest(tag, allowed)}"
    secretless = "nothing" if problem["input"] is None else repr(problem["input"])
    if "://" in secretless or where[-1:] == ["url"]:  # any part may be secret, and a webhook's whole address is
        secretless = "an address, which is not repeated here"
    elif where and where[-1] in SECRET_KEYS:  # people write the secret itself
        secretless = "a text, which is not repeated here"
    found = f"found {secretless}; " if not isinstance(problem["input"], dict | list | tuple) else ""
    own = re.sub(r"^Value error, ", "", problem["msg"]).replace("Input should be", "must be")
    message = next((words for kind, words in EXPECTED.items() if problem["type"].startswith(kind)), own)
    hint = nearest(str(problem["input"]), re.findall(r"'([^']+)'", problem["msg"])) if problem["type"] in {"literal_error", "enum"} else ""
    return f"{key}: {found}{message[:1].lower() + message[1:]}.{hint}"


def _spoken(where: list[str | int]) -> str:
    """The path as people say it: entries of a list are counted from 1.

    >>> _spoken(["source", "transactions", 1, "columns", "amount"]), _spoken(["model", "algorithms", 0])
    ('source.transactions, entry 2, columns.amount', 'model.algorithms, entry 1')
    """
    spoken = "".join(f", entry {part + 1}, " if isinstance(part, int) else f"{part}." for part in where)
    return spoken.replace("., ", ", ").rstrip("., ")


def _without_tags(where: list[str | int]) -> list[str | int]:
    """The path as in the file: without the tags that pydantic adds for members of a union."""
    if where[:2] == ["delivery", "destinations"]:
        return where[:3] + where[4:]  # whose kind follows the name
    if where[:1] == ["engine"]:
        return where[:1] + where[2:]
    if where[:1] != ["source"]:
        return where
    kept = [part for position, part in enumerate(where) if not (position == 1 and part in SOURCE_KINDS)]
    return [part for position, part in enumerate(kept) if not (position == 3 and part in {"files", "database"})]


def _allowed_keys(where: list[str | int]) -> list[str]:
    """Keys allowed in the section at this path (those of every candidate, if it may be one of several)."""
    models: list[Any] = [Settings]
    for part in where:
        if isinstance(part, str):
            fields = [(field.alias or name, field) for model in models for name, field in model.model_fields.items()]
            annotations = [field.annotation for name, field in fields if name == part]
            if annotations:  # else a key of a mapping, whose values are these models
                models = [found for annotation in annotations for found in _models_in(annotation)]
    return list(dict.fromkeys(field.alias or name for model in models for name, field in model.model_fields.items()))


def _models_in(annotation: Any) -> list[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
