"""Drift of two tables or files: every column gets its kind, its method and its verdict, or a reason."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from pipelines.__main__ import cli
from pipelines.errors import BadInput
from pipelines.monitoring import drift, grid, tables
from pipelines.monitoring.drift import compare, compare_files


def table(rows: int = 3000, seed: int = 1, moved: float = 0.0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "amount": random.gamma(2, 30 * (1 + moved), rows).round(2),
            "share": random.beta(2, 5, rows),
            "count": random.poisson(20, rows),
            "code": random.integers(0, 4, rows),
            "city": random.choice(["Oslo", "Málaga", "Köln"], rows),
            "flag": random.random(rows) < 0.5,
        }
    )


def found(drifted: drift.Drift) -> dict[str, drift.ColumnDrift]:
    return {column.name: column for column in drifted.columns}


def test_each_column_gets_its_kind_and_method() -> None:
    columns = found(compare(table(), table(seed=2)))
    kinds = {name: (column.kind, column.method) for name, column in columns.items()}
    numbers, codes = ("number", "wasserstein"), ("category", "jensenshannon")
    assert kinds == {
        "amount": numbers,
        "share": numbers,
        "count": numbers,
        "code": codes,
        "city": codes,
        "flag": codes,
    }
    assert not any(column.drifted for column in columns.values())


def test_what_moved_is_named_and_nothing_else() -> None:
    drifted = compare(table(), table(seed=2, moved=0.5))
    assert [column.name for column in drifted.columns if column.drifted] == ["amount"]
    assert drifted.drifted_share == pytest.approx(1 / 6)


def test_a_named_method_is_taken_where_it_fits() -> None:
    columns = found(compare(table(), table(seed=2), method="ks", threshold=0.001))
    assert (columns["amount"].method, columns["amount"].threshold) == ("ks", 0.001)
    assert (columns["city"].method, columns["city"].threshold) == ("jensenshannon", 0.1)


def test_a_threshold_alone_is_for_every_column() -> None:
    assert {column.threshold for column in compare(table(), table(seed=2), threshold=0.4).columns} == {0.4}


@pytest.mark.parametrize("threshold", [0.0, -1.0, float("nan"), float("inf")])
def test_a_threshold_that_is_none_is_refused(threshold: float) -> None:
    with pytest.raises(BadInput, match="must be above 0"):
        compare(table(), table(), threshold=threshold)


def test_a_probability_of_one_would_always_alarm() -> None:
    with pytest.raises(BadInput, match="says drift always"):
        compare(table(), table(), method="ks", threshold=1.0)


def test_missing_values_are_reported_and_judged_apart() -> None:
    # given a column of which a third vanishes, at random
    current = table(seed=2)
    current["share"] = current["share"].mask(np.random.default_rng(0).random(len(current)) < 1 / 3)
    current.loc[0, "share"] = np.inf
    # when
    column = found(compare(table(), current))["share"]
    # then what is left is as it was, but that so much is gone is drift of its own
    assert not column.drifted
    assert column.missing_drifted
    assert column.current_missing == pytest.approx(1 / 3, abs=0.03)
    assert column.current_rows == np.isfinite(current["share"]).sum()


@pytest.mark.parametrize("values", [np.nan, None])
def test_a_column_that_vanished_has_drifted_without_a_score(values: object) -> None:
    columns = found(compare(table(), table().assign(amount=values, city=values)))
    for name in ("amount", "city"):
        assert (columns[name].drifted, columns[name].score) == (True, None)
        assert columns[name].reason == "the current table has no values here"


def test_a_column_without_values_on_both_sides_is_left_out() -> None:
    empty = table().assign(amount=np.nan)
    skipped = {each.name: each.reason for each in compare(empty, empty).skipped}
    assert skipped == {"amount": "no values on either side"}


def test_constant_columns_are_compared() -> None:
    columns = found(compare(table().assign(amount=5.5), table().assign(amount=5.5, share=0.3)))
    assert (columns["amount"].score, columns["amount"].drifted) == (0, False)
    assert columns["share"].drifted


def test_numbers_that_become_texts_have_drifted() -> None:
    column = found(compare(table(), table().assign(amount="a lot")))["amount"]
    assert (column.kind, column.drifted, column.score) == ("changed", True, None)
    assert column.reason == "numbers in the reference, texts now"


def test_mixed_types_are_compared_as_texts() -> None:
    mixed = table().assign(amount=[1, "two"] * 1500)
    assert found(compare(mixed, mixed))["amount"].kind == "category"


def test_ids_times_and_lists_are_left_out_with_a_reason() -> None:
    # given
    extra = table(200).assign(
        id=[f"u{place}" for place in range(200)],
        when=pd.date_range("2024-01-01", periods=200),
        bag=[[1]] * 200,
    )
    # when
    skipped = {each.name: each.reason for each in compare(extra, extra).skipped}
    # then
    assert skipped == {
        "id": "nearly every text is different",
        "when": "times always move on",
        "bag": "holds lists or objects",
    }


def test_columns_of_one_side_only_are_named() -> None:
    skipped = compare(table().assign(old=1), table().assign(new=1)).skipped
    assert [(each.name, each.reason) for each in skipped] == [
        ("old", "only the reference has it"),
        ("new", "only the current table has it"),
    ]


def test_tables_without_a_common_column_are_refused() -> None:
    with pytest.raises(BadInput, match="no column in common"):
        compare(pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"b": [1, 2]}))


def test_numbers_beyond_what_can_be_squared_are_left_out() -> None:
    huge = pd.DataFrame({"x": np.random.default_rng(0).normal(size=2000) * 1e300, "y": np.arange(2000.0)})
    assert [each.reason for each in compare(huge, huge).skipped] == [
        "its numbers are too large to be compared"
    ]


def test_threads_change_nothing() -> None:
    assert compare(table(), table(seed=2), threads=4) == compare(table(), table(seed=2), threads=1)


# Files.


def save(folder: Path, name: str, frame: pd.DataFrame, **options: object) -> Path:
    path = folder / name
    frame.to_parquet(path) if name.endswith("parquet") else frame.to_csv(path, index=False, **options)  # type: ignore[call-overload]
    return path


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.parquet", {}),
        ("a.csv", {}),
        ("a.txt", {"sep": ";", "decimal": ","}),
        ("a.tsv", {"sep": "\t"}),
        ("a.csv", {"encoding": "utf-16"}),
        ("a.csv", {"encoding": "utf-8-sig"}),
        ("a.csv", {"encoding": "windows-1252"}),
        ("a.csv.gz", {}),
    ],
)
def test_a_file_scores_as_the_table_in_it(tmp_path: Path, name: str, options: dict[str, object]) -> None:
    before, after = table(), table(seed=2, moved=0.3)
    paths = save(tmp_path, "before.parquet", before), save(tmp_path, name, after, **options)
    assert compare_files(*paths).columns == compare(before, after).columns


def test_streaming_says_what_memory_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given files that may not be kept in memory, read in batches of which many are needed
    before, after = table(20_000), table(20_000, seed=2, moved=0.3)
    csv = save(tmp_path, "after.csv", after)
    path = save(tmp_path, "before.parquet", before)
    for module, name, value in (
        (tables, "KEPT_BYTES", 1),
        (tables, "BATCH_ROWS", 700),
        (tables, "CSV_BLOCK", 20_000),
        (grid, "BLOCK", 256),
    ):
        monkeypatch.setattr(module, name, value)
    # when
    streamed = {method: compare_files(path, csv, method=method) for method in ("psi", "ks", "wasserstein")}
    # then
    for method, each in streamed.items():
        for there, here in zip(each.columns, compare(before, after, method=method).columns, strict=True):
            assert there.score == pytest.approx(here.score, abs=1e-12)
            assert (there.drifted, there.method, there.error) == (here.drifted, here.method, 0)


def test_a_type_that_only_shows_later_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given whole numbers that get decimals, and numbers that become texts, after the first block
    monkeypatch.setattr(tables, "CSV_BLOCK", 1000)
    rows = ["wide,odd"] + ["1,7"] * 3000 + ["1.5,n/k"] * 3000
    path = tmp_path / "late.csv"
    path.write_text("\n".join(rows) + "\n")
    # when
    said = compare_files(path, path)
    # then
    assert found(said)["wide"].kind == "number"
    assert found(said)["odd"].kind == "category"
    assert any("'odd' of late.csv holds numbers and texts" in note for note in said.notes)


def test_another_encoding_is_said(tmp_path: Path) -> None:
    path = save(tmp_path, "old.csv", table(), encoding="windows-1252")
    assert compare_files(path, path).notes[0] == "old.csv is not UTF-8; it was read as Windows-1252."


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b"amount\n", "holds no rows"),
        (b"amount\n1\n", "holds one row"),
        (b"\x89PNG\r\n\x1a\n" + bytes(500), "neither CSV nor Parquet"),
        (b"PAR1" + bytes(500), "can't be read"),
        (b"a,b\n1,2\n1,2,3\n", "Expected 2 columns, got 3"),
        (b"a,a\n1,2\n3,4\n", "two columns 'a'"),
    ],
)
def test_what_is_no_table_is_refused_with_what_to_do(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=problem) as caught:
        compare_files(path, save(tmp_path, "good.csv", table()))
    assert caught.value.hint


def test_a_truncated_parquet_file_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path, "cut.parquet", table())
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(BadInput, match="damaged or cut short"):
        compare_files(path, path)


def test_a_damaged_page_inside_a_parquet_file_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path, "bit.parquet", table())
    content = bytearray(path.read_bytes())
    content[40:4000] = bytes(3960)
    path.write_bytes(content)
    with pytest.raises(BadInput, match="can't be read"):
        compare_files(path, path)


# The command.


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["drift", *map(str, words)])
    return result.exit_code, result.output


def test_the_command_answers_with_the_contract(tmp_path: Path) -> None:
    paths = save(tmp_path, "a.csv", table()), save(tmp_path, "b.csv", table(seed=2, moved=0.5))
    code, output = run(*paths, "--json")
    answer = json.loads(output)
    assert code == 0
    assert answer["drifted_share"] == pytest.approx(1 / 6)
    assert {"name", "kind", "method", "score", "threshold", "drifted"} <= set(answer["columns"][0])
    code, output = run(*paths)
    assert "DRIFTED  amount" in output
    assert "1 of 6 columns drifted" in output


def test_the_command_ends_with_two_on_bad_input(tmp_path: Path) -> None:
    good = save(tmp_path, "a.csv", table())
    for words in (
        (good, tmp_path / "none.csv"),
        (good, tmp_path),
        (good, good, "--method", "magic"),
        (good, good, "--threshold", "0"),
    ):
        assert run(*words, "--json")[0] == 2
