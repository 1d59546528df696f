"""Tables of users: what is read is what was written; the rest is refused with its place."""

import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rnn_exp.data import DataError, read_table

FRAME = pd.DataFrame(
    {
        "whole": np.arange(200, dtype=np.int32),
        "real": np.random.default_rng(0).normal(size=200),
        "half": np.linspace(0, 1, 200).astype(np.float16),
        "word": np.array(["b", "a c", "ü"])[np.arange(200) % 3],
    }
)


def parquet(frame=FRAME, **settings):
    data = io.BytesIO()
    table = frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame)
    pq.write_table(table, data, **settings)
    return data.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        FRAME.to_csv().encode(),
        FRAME.to_csv(index=False, sep=";").encode("utf-8-sig"),
        FRAME.to_csv(index=False, sep="\t", lineterminator="\r\n").encode(),
        FRAME.to_csv(index=False, quoting=1).encode(),
        parquet(),
        parquet(row_group_size=7, compression="gzip"),
    ],
    ids=["csv", "semicolons, BOM", "tabs, CRLF", "quotes", "parquet", "row groups"],
)
def test_a_table_is_read_as_it_was_written(content):
    table = read_table(content, "data")
    assert table.names == list(FRAME.columns)
    assert table.rows == 200
    for name in ("whole", "real", "half"):
        np.testing.assert_allclose(table.numbers(name), FRAME[name], rtol=1e-3)
    np.testing.assert_array_equal(table.numbers("real"), FRAME["real"])
    assert table.labels("word") == FRAME["word"].tolist()
    assert table.labels("whole") == FRAME["whole"].tolist()


def test_what_needs_more_than_a_column_of_numbers_is_refused_by_its_row():
    gap = pd.array([*range(5), None], dtype="Int64")
    frame = pd.DataFrame(
        {
            "gap": gap,
            "nan": [1.0, 2, np.nan, 4, 5, 6],
            "inf": [1.0, 2, 3, np.inf, 5, 6],
            "time": pd.date_range("2024", periods=6),
            "truth": [True, False] * 3,
            "large": [2**63 - 1] * 6,
        }
    )
    table = read_table(parquet(frame), "data.parquet")
    for name, why in {
        "gap": "row 6 of data.parquet has nothing",
        "nan": "row 3 of data.parquet has nothing|row 3 of data.parquet has nan",
        "inf": "row 4 of data.parquet has inf",
        "time": "it holds timestamp",
        "truth": "it holds bool",
    }.items():
        with pytest.raises(DataError, match=why) as refused:
            table.numbers(name)
        assert refused.value.column == name
    with pytest.raises(DataError, match=r"row 6 of data\.parquet has ''"):
        table.labels("gap")
    with pytest.raises(DataError, match="it holds timestamp"):
        table.labels("time")
    assert table.labels("large") == [2**63 - 1] * 6
    assert table.labels("truth") == ["true", "false"] * 3


def texts(cells, kind):
    frame = pd.DataFrame({"kind": pd.Series(cells, dtype=str), "a": range(len(cells))})
    return parquet(frame) if kind == "parquet" else frame.to_csv(index=False).encode()


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        (["1", "-3", "0", "12"], [1, -3, 0, 12]),
        (["1.0", "-3.0", "0.0", "12.0"], [1, -3, 0, 12]),
        (["01", "1", "10", "1"], ["01", "1", "10", "1"]),
        (["01", "1", "x", "1"], ["01", "1", "x", "1"]),
        (["+1", "1", "-1", "1"], ["+1", "1", "-1", "1"]),
        (["007", "7", "07", "00"], ["007", "7", "07", "00"]),
        ([" a", "b ", " a", " 1"], ["a", "b", "a", "1"]),
    ],
)
def test_codes_are_each_a_label_as_they_are_written_and_whole_numbers_are_numbers(
    kind, cells, labels
):
    assert read_table(texts(cells, kind), "data").labels("kind") == labels


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("cells", [["b", " a", "a"], ["2", "1", "1.0"], ["0", "-0"], ["01", "01 "]])
def test_a_label_that_is_written_in_two_ways_is_refused_with_both(kind, cells):
    first, second = cells[-2:]
    where = ("line 3", "line 4") if kind == "csv" else ("row 2", "row 3")
    if len(cells) == 2:
        where = ("line 2", "line 3") if kind == "csv" else ("row 1", "row 2")
    message = (
        rf"{where[0]} of data has '{first}' and {where[1]} of data '{second}': write them alike"
    )
    with pytest.raises(DataError, match=message) as refused:
        read_table(texts(cells, kind), "data").labels("kind")
    assert refused.value.column == "kind"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (parquet()[:-9], "magic bytes not found in footer"),
        (b"PAR1" + 99 * b"x" + b"PAR1", "OSError|ArrowInvalid"),
        (
            parquet(pa.table([[1], [2]], names=["a", "a"])),
            "two columns are called a",
        ),
        (parquet(pa.table({})), "with columns"),
    ],
    ids=["cut off", "no footer", "twice the same", "no columns"],
)
def test_what_is_no_table_in_parquet_is_refused_in_a_line(content, why):
    with pytest.raises(DataError, match=why) as refused:
        read_table(content, "data.parquet")
    assert refused.value.column is None
    assert "\n" not in str(refused.value)


def test_words_that_are_not_utf_8_are_refused_in_a_line():
    """Parquet files may say that any bytes are text."""
    words = pa.array([b"a", b"caf\xe9"]).view(pa.string())
    table = read_table(parquet(pa.table({"word": words})), "data.parquet")
    with pytest.raises(DataError, match=r"words in UTF-8; UnicodeDecodeError: .* 0xe9"):
        table.labels("word")


def test_a_damaged_parquet_file_is_refused_or_harmless_but_never_another_error():
    """With checksums every change of a page is seen."""
    content = parquet(write_page_checksum=True, compression="none", use_dictionary=False)
    numbers = np.random.default_rng(1)
    refused = 0
    for _ in range(150):
        damaged = bytearray(content)
        damaged[numbers.integers(4, len(content) - 4)] ^= 1 << numbers.integers(8)
        try:
            table = read_table(bytes(damaged), "data.parquet")
            if "real" in table.names:  # a name has no checksum
                np.testing.assert_array_equal(table.numbers("real"), FRAME["real"])
        except DataError:
            refused += 1
    assert refused > 30
