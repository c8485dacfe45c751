"""Text that is code in some language, and a small shop made of it.

Belongs here: every hostile text, once, and the shop whose ids, categories, products, attributes, event types, names of columns and settings
they are. What must become of them belongs to `test_hostile` and `test_bounds`.
"""

import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from segmentation_assets.visible import visible

REMOTE = "remote.example"  # no surface may ask it for anything
MARK = "injected"  # an element or a dialog that a text made has it
LONG = "L" * 1_000_000
TEXTS = {
    "HTML": (
        f"<script>alert('{MARK}')</script>", f"<img src=x onerror=alert('{MARK}')>", f"</td></table><h1 id={MARK}>h</h1>",
        f'"><svg onload=alert("{MARK}")>', "&lt;b&gt;", f"<iframe src=http://{REMOTE}/f></iframe>", "<!--", "]]>",
    ),
    "Markdown": (
        f"[x](javascript:alert('{MARK}'))", f"![x](http://{REMOTE}/p.png)", f"<http://{REMOTE}/a>", f"http://{REMOTE}/b",
        f"www.{REMOTE}", f"ann@{REMOTE}", "a | b", "`code`", "**bold** _and_ ~~more~~", "# heading", "- item", f"[y]: http://{REMOTE}/c",
    ),
    "TeX": ("a$b$c", r"$\frac", "_x^{", r"\alpha 100 % ~"),
    "rich": ("[/x]", "[bold]loud[/bold]", f"[link=http://{REMOTE}]x[/link]", ":smile:"),
    "SQL": ("'; DROP TABLE segments; --", '" OR 1=1; --', "$$; ATTACH 'x'", "/* */ \\'"),
    "templates": ("{{ 7 * 7 }}", "{% raw %}", "{0} {x!r}", "%s %(x)s", "${HOME} $(id) `id`"),
    "spreadsheet": (
        "=cmd|' /C calc'!A0", "+1+cmd|' /C calc'!A0", "-2+cmd|' /C calc'!A0", "@SUM(1+1)*cmd|' /C calc'!A0", "\t=1+1", "\r=1+1", "\n=1+1",
        f'=HYPERLINK("http://{REMOTE}/h","x")', "\uff1d1+1", " =1+1",
    ),
    "paths": ("../../x", "/etc/passwd", r"..\..\x", "a/b", "~/x", "con"),
    "terminal": ("a\x1b[2Jb", "\x1b]0;title\x07", "\x9b31m", "back\x08\x08", "line\rover", "tab\tline\nfeed", "x\x00y", "\x7f"),
    "direction": ("\u202egnp.exe", "\u2066x\u2069", "\u200fx", "zero\u200bwidth", "\ufeffmark", "\u2028line"),
}  # fmt: skip
ALL = tuple(text for texts in TEXTS.values() for text in texts)
ESCAPES = frozenset("\x00\x07\x08\x0b\x0c\r\x1b\x7f\x9b\u061c\u200e\u200f\u2028\u202e\u2066\u2069")  # what no terminal may be sent
COLUMNS = {"who": "id [/x] <b>|", "day": "day $\\frac '; --", "paid": "paid ![x](http://remote.example/p.png)", "kind": "=kind|\x1b[2J"}
ATTRIBUTES = tuple(f"{texts[0]} {language}" for language, texts in TEXTS.items())  # a text, by language
DAYS = ("2024-01-05", "2024-01-11", "2024-01-19", "2024-01-28", "2024-02-03", "2024-02-14", "2024-02-22")


def customers() -> tuple[str, ...]:
    """An id for each text; the one-megabyte text is none, because ids are printed on each line."""
    return tuple(f"{text}#" for text in ALL)  # cleaning removes blanks around ids


def write(folder: Path) -> Path:
    """Write the shop's three files, in three formats, and its settings; return the settings file."""
    draw = random.Random(17)  # noqa: S311  # no secret
    lines = [
        {
            COLUMNS["who"]: who, COLUMNS["day"]: day, COLUMNS["paid"]: round(5 + 40 * draw.random() ** 3 + number % 7, 2),
            COLUMNS["kind"]: ALL[(number * 5 + order) % len(ALL)], "product": ALL[number - order],
        }
        for number, who in enumerate(customers())
        for order, day in enumerate(sorted(draw.sample(DAYS, 1 + number % 6)))
    ]  # fmt: skip
    lines[0][COLUMNS["kind"]] = LONG
    lines.append({**lines[1], COLUMNS["day"]: f"2024-13-45 {ALL[1]}"})  # set aside, with its text
    table = pa.Table.from_pylist([{name: str(value) for name, value in line.items()} for line in lines])
    pq.write_table(table, folder / "orders.parquet")
    people = [{"id": who, **dict.fromkeys(ATTRIBUTES, ALL[number])} for number, who in enumerate(customers())]
    people[0][ATTRIBUTES[0]] = LONG
    pq.write_table(pa.Table.from_pylist(people), folder / "people.parquet")
    events = [{"who": who, "what": text, "when": "2024-01-20"} for who, text in zip(customers(), ALL, strict=True)]
    events[0]["what"] = LONG
    events += [
        {"who": who, "what": "campaign_received", "when": "2024-01-20", "about": ALL[-1 - number]} for number, who in enumerate(customers())
    ]
    (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    settings = {
        "data_dir": "data",
        "snapshots": {"first": "2024-02-01", "last": "2024-02-01", "cadence": "monthly"},
        "source": {
            "kind": "tables",
            "customers": {"files": "people.parquet", "columns": {"customer_id": "id"}},
            "transactions": {
                "files": "orders.parquet",
                "columns": {
                    "customer_id": COLUMNS["who"], "ordered_at": COLUMNS["day"], "amount": COLUMNS["paid"], "category": COLUMNS["kind"],
                    "product_id": "product",
                },
            },
            "events": {
                "files": "events.jsonl",
                "columns": {"customer_id": "who", "event_type": "what", "event_at": "when", "subject": "about"},
            },
        },
        "model": {"k": 3, "k_max": 3, "algorithms": ["kmeans"], "resamples": 10, "splits": 1, "stability_sample": 200},
        "exploration": {"currency": "$<b>"},
        "cleaning": {"largest_reject_share": 0.5},
        "privacy": {"sensitive": [ATTRIBUTES[0]]},
        "database": {"largest_copied": 0},  # so that all that reads tables of customers reads them from files
        "own_segments": {visible(text)[:60].strip(): "monetary > 0" for text in (texts[0] for texts in TEXTS.values())},
    }  # fmt: skip
    file = folder / "segmentation.yaml"
    file.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    return file


def write_customers(folder: Path) -> Path:
    """Write a table of customers without orders, and its settings with an outcome, labels and own segments; return the settings file."""
    draw = random.Random(18)  # noqa: S311  # no secret
    numbers, (outcome, text) = ATTRIBUTES[:4], ATTRIBUTES[4:6]
    people = [
        {
            "id": who,
            **{name: round(draw.gauss(50 + 40 * (number % 2), 5), 1) for name in numbers},
            text: ALL[number % 7],
            outcome: ALL[number % 2],
        }
        for number, who in enumerate(customers())
    ]
    pq.write_table(pa.Table.from_pylist(people), folder / "people.parquet")
    settings = {
        "data_dir": "data",
        "snapshots": {"first": "2024-02-01", "last": "2024-02-01", "cadence": "monthly"},
        "source": {"kind": "tables", "customers": {"files": "people.parquet", "columns": {"customer_id": "id"}}},
        "model": {"features": list(numbers), "k": 3, "k_max": 3, "algorithms": ["kmeans"], "resamples": 10, "splits": 1},
        "outcome": outcome,
        "attributes": {name: {"label": f"{texts[-1].replace(',', '')} label".strip(), "unit": texts[0].replace(",", "")[:20]}
                       for name, texts in zip(numbers, TEXTS.values(), strict=False)},
        "own_segments": {
            visible(texts[0])[:60].strip(): {"condition": "segment_id > 0", "description": texts[0]} for texts in TEXTS.values()
        },
    }  # fmt: skip
    file = folder / "segmentation.yaml"
    file.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    return file
