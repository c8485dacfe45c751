"""A wrong setting is refused with a sentence that says what to write instead."""

import os
import re
from pathlib import Path

import pytest

import segmentation_assets
from segmentation_assets.settings.loading import SETTINGS_VARIABLE, SettingsError, load_settings, settings_file
from segmentation_assets.settings.playbook import PLAYBOOK

SMALLEST = "snapshots: {first: 2017-04-01}\nsource: {kind: complete_journey}\n"


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("SEGMENTATION_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def written(tmp_path):
    def write(text, encoding="utf-8"):
        file = tmp_path / "segmentation.yaml"
        file.write_text(text, encoding=encoding)
        return file

    return write


def refusal(file):
    with pytest.raises(SettingsError) as refused:
        load_settings(file)
    return str(refused.value)


def test_the_shipped_file_loads():
    shipped = Path(segmentation_assets.__file__).parent.parent / "segmentation.yaml"
    settings = load_settings(shipped)
    assert settings.data_dir == shipped.parent / "data"
    assert settings.snapshots.first.isoformat() == "2017-04-01"


def test_a_wrong_key_is_named_with_the_nearest_right_one(written):
    message = refusal(written(SMALLEST + "model: {sead: 1}"))
    assert "model.sead: no such key. Did you mean seed? Allowed here: features, categorical, " in message


def test_a_wrong_key_at_the_top_is_named_with_the_nearest_right_one(written):
    assert "modell: no such key. Did you mean model?" in refusal(written(SMALLEST + "modell: {k: 3}"))


def test_a_date_that_does_not_exist_is_named_with_the_file(written):
    file = written(SMALLEST + "features: {since: 2024-31-01}")
    assert refusal(file).startswith(f"{file}: cannot be read as YAML: month must be in 1..12")


PLAY = "playbook: {{vips: {{action: Call, channel: phone, for: {{segments: [1]}}, cost: 1, {}}}}}"


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("most_customers: 0", "most_customers: found 0; must be greater than or equal to 1."),
        ("budget: 0", "budget: found 0; must be greater than 0."),
        ("expected_uplift: 5", "expected_uplift: found 5; is a share, and 5 is 500%; for 5% write 0.05."),
    ],
)
def test_an_action_for_nobody_or_of_an_impossible_effect_is_refused(written, key, why):
    assert refusal(written(SMALLEST + PLAY.format(key))).endswith(f"playbook.vips.{why}")


def test_a_wrong_key_of_an_aim_is_named_with_those_of_an_aim(written):
    message = refusal(written(SMALLEST + PLAY.format("holdout: 0").replace("segments", "segment")))
    assert "playbook.vips.for.segment: no such key. Did you mean segments? Allowed here: characters, segments, own_segments, " in message


def test_what_is_wrong_over_several_sections_begins_with_the_key(written):
    file = written(SMALLEST + "playbook: {vip: {action: Call, channel: phone}, other: null}")
    first, second = refusal(file).splitlines()
    assert first.startswith(f"{file}: playbook.vip: is for nobody.") and second.startswith(
        f"{file}: playbook.other: is none of the shipped"
    )


def test_an_order_has_each_level_once(written):
    message = refusal(written(SMALLEST + "attributes: {tier: {order: [gold, tin, gold]}}"))
    assert message.endswith("attributes.tier.order: has gold twice; keep one.")


def test_a_wrong_type_is_named_with_what_was_found(written):
    assert "model.k: found 'five'; must be a whole number." in refusal(written(SMALLEST + "model: {k: five}"))


def test_a_wrong_value_is_named_with_what_is_allowed(written):
    assert "model.k: found 0; must be greater than or equal to 2." in refusal(written(SMALLEST + "model: {k: 0}"))


def test_a_wrong_word_is_named_with_the_words_allowed_and_the_nearest(written):
    message = refusal(written(SMALLEST.replace("}", ", cadence: montly}", 1)))
    assert "snapshots.cadence: found 'montly'; must be 'monthly', 'weekly' or 'daily'. Did you mean monthly?" in message


def test_an_unknown_kind_of_source_is_named_with_the_nearest(written):
    said = refusal(written("snapshots: {first: 2017-04-01}\nsource: {kind: table}\n"))
    assert "source.kind: found 'table'; allowed are complete_journey, tables. Did you mean tables?" in said


def test_each_wrong_key_has_a_line_that_names_the_file(written):
    file = written(SMALLEST + "model: {k: 0, seed: -1}")
    assert [line.startswith(f"{file}: model.") for line in refusal(file).splitlines()] == [True, True]


def test_a_missing_section_is_named(written):
    assert "snapshots: is required and missing." in refusal(written("source: {kind: complete_journey}"))


SMALLEST_TABLE = """snapshots: {{first: 2024-01-01}}
source: {{kind: tables, transactions: {{{}, columns: {{customer_id: c, ordered_at: d, amount: a}}}}}}
"""
DATABASE = """snapshots: {{first: 2024-01-01}}
source: {{kind: tables, transactions: {{url: "{}", table: orders, columns: {{customer_id: c, ordered_at: d, amount: a}}}}}}
"""


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:needle@host/shop",
        "postgresql://ann:nee/needle@host/shop",
        "mysql://ann:nee@needle@host/shop",
        "mysql://:needle@host/shop",
        "postgresql://host/shop?sslpassword=needle",
        "duckdb:///md:shop?motherduck_token=needle",
        "snowflake://ann@account/shop?warehouse=w&private_key_passphrase=needle",
        "postgresql://ann@host/shop?API_KEY=needle",
        "postgresql://ann@host/shop?p%61ssword=needle",
        "mysql://ann@host/shop;secret=needle",
        "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BUID%3Dann%3BPWD%3Dneedle",
        "postgresql://ann%3Aneedle@host/shop",
        "sqlite:///shop.db?key=needle",
        "postgresql://ann@host/shop?options=-c my.token=needle",
        "sc://host:443/;token=needle",
        "sc://ann:needle@host",
    ],
)
def test_an_address_with_a_secret_is_refused_and_no_part_of_it_repeated(written, url):
    said = refusal(written(DATABASE.format(url)))
    assert "transactions" in said and "holds a secret" in said
    assert "needle" not in said


def test_what_follows_a_hash_in_the_address_of_a_server_is_refused_unrepeated(written):
    said = refusal(written(DATABASE.format("postgresql://ann@host/shop#needle")))
    assert "has a part after #, which no database reads" in said and "needle" not in said


@pytest.mark.parametrize(
    "url", ["postgresql://ann@host:5432/shop?sslmode=require&passfile=/etc/pgpass&sslkey=/etc/key", "sqlite:////a/b@c:d.db"]
)
def test_an_address_without_a_secret_is_accepted(written, url):
    load_settings(written(DATABASE.format(url)))


@pytest.mark.parametrize(
    "described",
    ["url: 'ann:needle@host/x', table: t", "url: host=h password=needle, table: t", "files: 'postgresql://ann:needle@h/x'",
     "files: [orders.csv, 's3://key:needle@bucket/x.parquet']"],
)  # fmt: skip
def test_a_misplaced_address_is_not_repeated(written, described):
    said = refusal(written(SMALLEST_TABLE.format(described)))
    assert "transactions" in said and "needle" not in said


def test_a_key_of_another_kind_of_entry_is_told_from_a_wrong_one(written):
    said = refusal(written(SMALLEST_TABLE.format("files: x.csv, table: t")))
    assert "table: does not go with the other keys here" in said and "Did you mean" not in said


def test_smallest_k_above_largest_is_refused(written):
    assert "model: k_min: 6 is above k_max: 3" in refusal(written(SMALLEST + "model: {k_min: 6, k_max: 3}"))


def test_a_first_snapshot_before_any_order_is_refused(written):
    assert "first: 0001-02-01 is too early for any order" in refusal(written(SMALLEST.replace("2017-04-01", "0001-02-01", 1)))


def test_last_snapshot_before_the_first_is_refused(written):
    assert "last: 2017-01-01 is before first: 2017-04-01" in refusal(written(SMALLEST.replace("}", ", last: 2017-01-01}", 1)))


def test_the_environment_overrides_one_value_and_leaves_the_rest(written, monkeypatch):
    monkeypatch.setenv("SEGMENTATION_MODEL__K", "7")
    model = load_settings(written(SMALLEST + "model: {k: 3, seed: 9}")).model
    assert (model.k, model.seed) == (7, 9)


def test_a_wrong_value_in_the_environment_is_refused(written, monkeypatch):
    monkeypatch.setenv("SEGMENTATION_MODEL__K", "many")
    assert "model.k: found 'many'; must be a whole number." in refusal(written(SMALLEST))


def test_an_unknown_variable_is_named_with_the_nearest_setting(written, monkeypatch):
    monkeypatch.setenv("SEGMENTATION_MODLE__K", "7")
    assert "SEGMENTATION_MODLE__K is not a setting. Did you mean SEGMENTATION_MODEL?" in refusal(written(SMALLEST))


def test_an_unknown_key_in_a_variable_is_named_with_the_nearest_key(written, monkeypatch):
    monkeypatch.setenv("SEGMENTATION_MODEL__SEAD", "7")
    assert "model.sead: no such key. Did you mean seed?" in refusal(written(SMALLEST))


def test_a_missing_file_says_how_to_name_one(tmp_path):
    assert "no such settings file. Name one with --settings FILE" in refusal(tmp_path / "absent.yaml")


def test_invalid_yaml_is_refused(written):
    assert "cannot be read as YAML" in refusal(written("model: {k: 3"))


def test_a_file_that_is_not_text_is_refused(written):
    assert "cannot be read as YAML" in refusal(written("größe: 1", encoding="latin-1"))


def test_a_list_is_refused(written):
    assert "holds list, expected `key: value` lines" in refusal(written("- model"))


def test_an_empty_file_is_refused_for_its_missing_sections(written):
    assert "snapshots: is required and missing." in refusal(written(""))


def test_a_byte_order_mark_is_not_part_of_the_first_key(written):
    assert load_settings(written(SMALLEST, encoding="utf-8-sig")).snapshots.first.isoformat() == "2017-04-01"


def test_data_dir_is_relative_to_the_settings_file(written, tmp_path, monkeypatch):
    file = written(SMALLEST + "data_dir: outputs")
    monkeypatch.chdir("/")
    assert load_settings(file).data_dir == tmp_path / "outputs"


def test_the_engine_spills_to_a_folder_relative_to_the_settings_file(written, tmp_path):
    file = written(SMALLEST + "engine: {temp_folder: spilled, memory: 2GB}")
    assert load_settings(file).engine.temp_folder == tmp_path / "spilled"


def test_an_engine_is_a_database_too(written):
    url = "sc://host:443/;use_ssl=true;x-databricks-cluster-id=0123-456789-abc"
    file = written(DATABASE.format(url).replace("table: orders", "table: main.`sales data`.orders"))
    assert load_settings(file).source.transactions[0].table == "main.`sales data`.orders"


@pytest.mark.parametrize(
    ("url", "table", "told"),
    [
        ("sc://host/database", "orders", "write it as sc://host:15002"),
        ("sc://host", "main..orders", "table: main..orders is not a name; write it as catalog.schema.table"),
    ],
)
def test_a_table_of_an_engine_that_cannot_be_meant_is_refused(written, url, table, told):
    assert told in refusal(written(DATABASE.format(url).replace("table: orders", f"table: {table}")))


@pytest.mark.parametrize("memory", ["2", "GB", "2GB'; DROP TABLE x; --"])
def test_memory_needs_a_number_and_a_unit(written, memory):
    assert "engine.memory" in refusal(written(SMALLEST + f'engine: {{memory: "{memory}"}}'))


ON_SPARK = "engine: {{kind: spark_connect, url: '{url}', {further}}}"


def test_an_engine_elsewhere_has_an_address(written):
    found = load_settings(written(SMALLEST + ON_SPARK.format(url="sc://spark:15002/;use_ssl=true", further="threads: 2"))).engine
    assert (found.kind, found.url, found.here().threads) == ("spark_connect", "sc://spark:15002/;use_ssl=true", 2)


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("engine: {kind: spark}", "engine.kind: found 'spark'; allowed are duckdb, spark_connect."),
        ("engine: {kind: spark_connect}", "engine.url: is required and missing."),
        ("engine: {url: 'sc://spark'}", "engine.url: "),
        (ON_SPARK.format(url="http://spark", further=""), "write it as sc://host:15002"),
        (ON_SPARK.format(url="sc://spark/database", further=""), "write it as sc://host:15002"),
        (ON_SPARK.format(url="sc://spark/;token=dapi-of-ann", further=""), "name that in token_variable"),
        (ON_SPARK.format(url="sc://spark", further="token_variable: dapi-of-ann"), "engine.token_variable: found a text, which is not"),
    ],
)
def test_an_engine_that_cannot_be_meant_is_refused_without_its_secret(written, section, told):
    said = refusal(written(SMALLEST + section))
    assert told in said
    assert "of-ann" not in said


def test_data_dir_from_the_environment_is_relative_to_the_working_folder(written, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("SEGMENTATION_DATA_DIR", "outputs")
    assert load_settings(written(SMALLEST)).data_dir == elsewhere / "outputs"


def test_a_custom_play_keeps_the_other_plays_of_the_playbook(written):
    playbook = load_settings(written(SMALLEST + "playbook: {new: {action: Call, channel: phone, priority: 1}}")).playbook
    assert playbook["new"].action == "Call"
    assert {kind: play for kind, play in playbook.items() if kind != "new"} == {k: p for k, p in PLAYBOOK.items() if k != "new"}


def test_a_play_for_an_unknown_character_is_refused_with_the_nearest(written):
    message = refusal(written(SMALLEST + "playbook: {champion: {action: Call, channel: phone, priority: 1}}"))
    assert "playbook.champion" in message
    assert "Did you mean champions?" in message


def test_a_named_settings_file_takes_precedence_over_the_one_in_the_working_folder(written, tmp_path, monkeypatch):
    written(SMALLEST)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(SETTINGS_VARIABLE, "/other.yaml")
    assert settings_file() == Path("/other.yaml")


def test_the_model_digest_depends_on_the_model_section_only(written):
    plain, other_k, other_hour = (
        load_settings(written(SMALLEST + more)) for more in ("", "model: {k: 6}", "schedule: {hour: 7}\ndrift: {psi_threshold: 0.3}")
    )
    assert plain.model_digest() == other_hour.model_digest() != other_k.model_digest()


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        ("algorithms: [ward]", "kmeans is missing"),
        ("algorithms: [kmeans, wards]", "model.algorithms, entry 2: found 'wards'; must be"),
        ("weights: {age: 2}", "weights: age is not among the features"),
        ("weights: {monetary: -1}", "model.weights.monetary: found -1; must be greater than or equal to 0"),
        ("categorical: [sex]", "categorical: sex is not among the features"),
        ("k: 3, fallback_k: 7", "fallback_k: 7 is above k: 3"),
        ("stable_jaccard: 0.4", "dissolved_jaccard: 0.6 is above stable_jaccard: 0.4"),
        ("features: [frequency, frequency]", "features: frequency is there twice"),
        ("k: 4, seed: 1, k: 6", "k is there twice"),
        ("grid: {frequency: [5, 5]}", "model.grid.frequency: must be a number of bins, 1 to 9, or at most 8 rising cut points"),
        ("grid: {frequency: 10}", "model.grid.frequency: found 10; must be a number of bins"),
        ("grid: {names: {611: Best}}", "must be text; numbers and true or false need quotes"),
        (
            'grid: {names: {"611": Best}}',
            "names: '611' is no code of a cell. It has a digit or * for recency, frequency and spend, at most 5",
        ),
        ("grid: {recency_days: 9, frequency: 9, monetary: 9}", "has 729 cells, more than 125"),
    ],
)
def test_impossible_model_settings_are_refused(written, model, problem):
    assert problem in refusal(written(SMALLEST + f"model: {{{model}}}"))


def test_a_sensitive_attribute_in_the_model_is_refused(written):
    text = SMALLEST + "model: {features: [religion, monetary]}\nprivacy: {sensitive: [religion, health]}"
    assert "model.features: religion is in privacy.sensitive, and sensitive attributes never enter a model" in refusal(written(text))


def test_a_grid_that_is_not_published_changes_no_model(written):
    plain, unused, used = (load_settings(written(SMALLEST + text)) for text in ("", "model: {grid: {frequency: 3}}", "model: {tier: grid}"))
    assert plain.model_digest() == unused.model_digest() != used.model_digest()


def test_an_own_segment_is_a_condition_alone_or_with_a_description(written):
    text = SMALLEST + "own_segments: {vips: monetary > 1000, lapsing: {condition: recency_days > 60, description: Write to them}}"
    own = load_settings(written(text)).own_segments
    assert [(name, one.condition, one.description) for name, one in own.items()] == [
        ("vips", "monetary > 1000", ""),
        ("lapsing", "recency_days > 60", "Write to them"),
    ]


@pytest.mark.parametrize(
    ("own", "problem"),
    [
        ("{vips: 1000}", "own_segments.vips: found 1000; must be a condition in quotes, such as"),
        ("{vips: {when: monetary > 1000}}", "own_segments.vips.condition: is required and missing"),
        ('{"": monetary > 1000}', "a name has 1 to 60 visible characters"),
    ],
)
def test_what_is_no_own_segment_is_refused(written, own, problem):
    assert problem in refusal(written(SMALLEST + f"own_segments: {own}"))


def test_a_key_in_place_of_the_variable_that_holds_it_is_not_repeated(written):
    key = "3f9a7c52e01b"
    message = refusal(written(SMALLEST + f"privacy: {{pseudonyms: {{key_variable: {key}}}}}"))
    assert "privacy.pseudonyms.key_variable: found a text, which is not repeated here" in message
    assert key not in message


def test_pseudonyms_of_the_demo_data_are_refused(written):
    message = refusal(written(SMALLEST + "privacy: {pseudonyms: {key_variable: SHOP_KEY}}"))
    assert "privacy.pseudonyms: the ids of the demo data are not people's" in message


def test_an_outcome_in_the_model_is_refused(written):
    message = refusal(written(SMALLEST + "model: {features: [churned, monetary]}\noutcome: churned"))
    assert "model.features: churned is the outcome, by which segments are judged, so they must not be made of it" in message


def test_attributes_have_names_and_units_of_their_own_but_names_without_commas(written):
    settings = load_settings(written(SMALLEST + "attributes: {income: {label: annual income, unit: k$}, age: {unit: years}}"))
    assert settings.labels == {"income": "annual income"}
    assert "attributes.income.label" in refusal(written(SMALLEST + "attributes: {income: {label: 'income, annual'}}"))


def test_models_of_version_010_keep_their_digest_unless_near_copies_count_otherwise(written):
    digests = [
        load_settings(written(SMALLEST + more)).model_digest() for more in ("", "model: {near_copies: 0.8}", "model: {near_copies: 1}")
    ]
    assert digests[0] == digests[1] != digests[2]


VIPS = "own_segments: {vips: monetary > 10}\n"


@pytest.mark.parametrize(
    ("play", "why"),
    [
        ("champion: {action: Call, channel: phone}", r"playbook\.champion: is for nobody\. Did you mean champions\? Say whom with `for`"),
        ("mine:", r"playbook\.mine: is none of the shipped actions, so it cannot be turned off"),
        ("x: {action: A, channel: c, for: {own_segments: [vip]}}", r"for\.own_segments: vip is not an own segment\. Did you mean vips\?"),
        ("mine: {action: Call, channel: phone, for: {characters: [champion]}}", r"\.for\.characters, entry 1: .* Did you mean champions\?"),
        ("mine: {action: Call, channel: phone, for: {}}", r"playbook\.mine\.for: names nobody; give at least one of characters"),
        ("mine: {action: Call, channel: phone, fro: {segments: [1]}}", r"playbook\.mine\.fro: no such key\. Did you mean for\?"),
        ("new: {action: Call, channel: phone, budget: 5}", r"playbook\.new: budget: says nothing while a contact costs nothing; set cost"),
        ("new: {action: Call, channel: phone, starts: 2024-02-01, ends: 2024-01-31}", r"ends: 2024-01-31 is before it starts, 2024-02-01"),
        ("new: {action: Call, channel: phone, holdout: 1}", r"playbook\.new\.holdout: .*0\.9"),
    ],
)  # fmt: skip
def test_an_action_that_cannot_be_done_is_refused_with_the_reason(written, play, why):
    assert re.search(why, refusal(written(SMALLEST + VIPS + f"playbook:\n  {play}\n")))


def test_an_action_of_ones_own_joins_the_shipped_ones_and_an_empty_one_is_off(written):
    playbook = load_settings(
        written(SMALLEST + "playbook:\n  mine: {action: Call, channel: phone, for: {segments: [Champions, 3]}}\n  at_risk:\n")
    ).playbook
    assert (playbook["mine"].aim.segments, playbook["mine"].holdout, playbook["mine"].list) == (("Champions", 3), 0.1, "marketing")
    assert playbook["at_risk"] is None and playbook["lapsed"] is not None


def test_suppression_lists_are_relative_to_the_settings_file_and_on_this_machine(written, tmp_path):
    found = load_settings(written(SMALLEST + "audiences: {suppression: lists/never.csv}")).audiences
    assert found.suppression == (tmp_path / "lists" / "never.csv",)
    assert "must be on this machine" in refusal(written(SMALLEST + "audiences: {suppression: ['https://a.example/never.csv']}"))


def test_required_consent_must_be_mapped(written):
    assert "audiences.require_consent: no table of source.customers maps consent" in refusal(
        written(SMALLEST + "audiences: {require_consent: true}")
    )
