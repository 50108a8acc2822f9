from _tetradx.text_table import in_columns


def test_columns_are_as_wide_as_what_stands_in_them():
    table = in_columns(["state", "number"], [("idle", 7), ("in transaction", 12.5), (None, 3)])

    assert table.splitlines() == [
        "state           number",
        "idle                 7",
        "in transaction    12.5",
        "                     3",
    ]


def test_a_table_without_rows_is_its_heads():
    assert in_columns(["state", "number"], []) == "state  number"
