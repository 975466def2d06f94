"""The speeds of the classifier, beside sqlglot's own parse."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from rwsplit._core.sql.classify import Classifier, Dialect

POINT = "SELECT id, name, email FROM users WHERE id = {}"
JOIN = (
    "SELECT u.id, u.name, o.total FROM users u JOIN orders o ON o.user_id = u.id WHERE u.country"
    " = '{}' AND o.status IN (1, 2, 3) AND o.created > '2026-01-01 00:00:00' ORDER BY o.created"
    " DESC LIMIT 20"
)
BULK = "INSERT INTO log (at, level, text) VALUES " + ", ".join(
    f"('2026-01-01', {number}, 'line {{}}')" for number in range(100)
)
TRACE = "traceparent='00-5bd66ef5095369c7b0d1f8f4bd33716a-{:016x}-01'"
SHAPES = {"point read": POINT, "join": JOIN, "insert of 100 rows": BULK}


def median(run: Callable[[int], object], rounds: int, each: int) -> float:
    """Microseconds a call, the median of several rounds."""
    times = []
    for turn in range(rounds):
        start = time.perf_counter()
        for number in range(each):
            run(turn * each + number)
        times.append((time.perf_counter() - start) / each)
    return statistics.median(times) * 1e6


def known(text: str) -> float:
    classifier = Classifier(Dialect.of("mysql", "8.4.0"))
    classifier.statement(text)
    look_up = classifier.texts.get
    if len(text) > 4096:
        return median(lambda _: classifier.statement(text), 9, 200)
    return median(lambda _: look_up(text) or classifier.statement(text), 9, 20000)


def new_literals(shape: str) -> float:
    classifier = Classifier(Dialect.of("mysql", "8.4.0"))
    texts = [shape.replace("{}", str(number)) for number in range(9 * 300)]
    classifier.statement(texts[0])
    return median(lambda number: classifier.statement(texts[number]), 9, 300)


def new_comment(shape: str) -> float:
    """Parameters, and a comment that is another one each time, as tracing makes them."""
    classifier = Classifier(Dialect.of("mysql", "8.4.0"))
    text = shape.replace("'{}'", "%s").replace("{}", "%s")
    texts = [f"{text} /*{TRACE.format(number)}*/" for number in range(9 * 300)]

    def classify(number: int) -> object:
        return classifier.template(texts[number]) or classifier.statement(texts[number])

    classify(0)
    return median(classify, 9, 300)


def first_sight(shape: str) -> float:
    classifier = Classifier(Dialect.of("mysql", "8.4.0"))
    head = shape.split(" ", 1)
    texts = [f"{head[0]} /*+ x */ {head[1]} ".replace("id", f"id{number}") for number in range(900)]
    texts = [text.replace("log", f"log{number}") for number, text in enumerate(texts)]
    return median(lambda number: classifier.statement(texts[number]), 9, 100)


def parsed(shape: str) -> float:
    import sqlglot

    texts = [shape.replace("{}", str(number)) for number in range(9 * 10)]
    sqlglot.parse_one(texts[0], dialect="mysql")
    return median(lambda number: sqlglot.parse_one(texts[number], dialect="mysql"), 9, 10)


def table() -> str:
    """The table, as Markdown."""
    lines = [
        "| the classifier | characters | known | new literals | new comment | first sight "
        "| sqlglot's parse |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, shape in SHAPES.items():
        text = shape.replace("{}", "7")
        row = (
            known(text),
            new_literals(shape),
            new_comment(shape),
            first_sight(shape),
            parsed(shape),
        )
        figures = " | ".join([f"{figure:,.{2 if figure < 1 else 1}f} µs" for figure in row])
        lines.append(f"| {name} | {len(text)} | {figures} |")
    return "\n".join(lines)
