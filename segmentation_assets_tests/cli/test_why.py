"""What is known of one customer, in lines that fit a terminal."""

from dataclasses import replace

from segmentation_assets.cli.why import Pull, Why, lines
from segmentation_assets.settings.customers import AttributeWords
from segmentation_assets_tests.builders import LOADED

FOUND = Why(
    customer_id="a\x1b[2J", snapshot_date="2024-03-01",
    known={"status": "active", "monetary": 1234.5, "town": "Ulm " * 40, "morning_share": 1},
    segment_id=1, segment_name="Loyal", since="2024-02-01", snapshots=2, model_version="m", confidence=0.25, other_segment_id=2,
    other_segment_name="Rare", deciding=[Pull("monetary", 1234.5, 0.75, 900.0, 12.0), Pull("town", "Ulm", -0.25, None, None)],
    bins={},
    moved={
        "snapshot_date": "2024-02-01", "change": "moved", "cause": "both", "from_segment_id": 2, "to_segment_id": 1,
        "from_segment_name": "Rare", "to_segment_name": "Loyal",
        "features": [
            {"feature": "monetary", "before": 12, "now": 1234.5, "share": 1.0},
            {"feature": "town", "before": "Bonn", "now": "Ulm", "share": -0.1},
        ],
    },
    own_segments={"vips": "2024-03-01"}, actions=[{"action": "Thank them", "channel": "e-mail", "priority": 3}],
)  # fmt: skip


def said(found: Why, in_full: bool = True) -> str:
    shown = list(lines(found, LOADED, in_full))
    assert max(map(len, shown)) <= 80
    return " ".join(line.strip() for line in shown)


def test_sentences_say_what_is_known_and_fit_in_80_columns_without_control_characters():
    text = said(FOUND)
    assert r"Customer a\x1b[2J at 2024-03-01: active, monetary 1,234.5 currency units, town Ulm" in text
    assert "morning_share" not in text
    for sentence in (
        "Segment: Loyal (1) since 2024-02-01, at 2 snapshots; model m.",
        "Border: confidence 0.25 (0 on the border, 1 at the centre); beyond it lies Rare (2).",
        "Decides: monetary 1,234.5 for Loyal (75%; medians 900 and 12); town Ulm for Rare (25%).",
        "Moved: 2024-02-01, from Rare (2) to Loyal (1), by own behaviour and because the model changed: monetary 12 -> 1,234.5 (+100%), "
        "town Bonn -> Ulm (-10%).",
        "Own segments: vips since 2024-03-01.",
        "Action: Thank them (e-mail, priority 3).",
    ):
        assert sentence in text


def test_what_is_not_measured_is_said():
    text = said(replace(FOUND, other_segment_id=None, confidence=None, deciding=[], moved=None, own_segments={}, actions=[]))
    assert "Border: not measured; the segment is by rule, or its model has no distances." in text
    assert "Decides" not in text
    assert "Moved: not since the first snapshot. Own segments: in none." in text


def test_in_a_grid_the_cut_points_around_the_customer_decide():
    text = said(replace(FOUND, other_segment_id=None, deciding=[], bins={"monetary": (540.0, None), "frequency": (3.0, 9.0)}))
    assert (
        "Decides: monetary 1,234.5 currency units (above 540); frequency unknown (above 3, up to 9); the cells of a grid have no distances."
        in text
    )
    assert "Border" not in text


def test_the_gist_says_what_speaks_for_the_segment_and_what_for_the_nearest_other():
    text = said(FOUND, in_full=False)
    assert text == (
        r"Customer a\x1b[2J at 2024-03-01: Loyal, since 2024-02-01; also in vips. "
        "For it: monetary 1,234.5 currency units. Nearest other: Rare (confidence 0.25); against it: town Ulm. "
        "Came from Rare, by own behaviour and because the model changed: monetary 12 -> 1,234.5. Action: Thank them (e-mail)."
    )


def test_a_feature_has_the_name_and_the_unit_of_the_settings():
    called = LOADED.model_copy(update={"attributes": {"town": AttributeWords(label="home town", unit="DE")}})
    assert "home town Ulm DE" in " ".join(lines(FOUND, called))
