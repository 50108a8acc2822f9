"""The laboratory tests that catalogue.csv lists, with usual prices in Ghana cedis."""

import csv
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple


class CatalogueTest(NamedTuple):
    test_type: str
    name: str
    price: Decimal
    loinc: str  # "" where no code is certain


def read_catalogue() -> list[CatalogueTest]:
    with Path(__file__).with_name("catalogue.csv").open(encoding="utf-8", newline="") as file:
        return [
            CatalogueTest(row["test_type"], row["test"], Decimal(row["price"]), row["loinc"])
            for row in csv.DictReader(file)
        ]
