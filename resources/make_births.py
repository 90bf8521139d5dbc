"""Make the example data: volumes/static/births.csv.gz.

The births in that file are generated: no row of it is a real birth. It has the columns, the categories and the size of
a public data set on preterm births, Kaggle's natesutton/njpretermbirths (an extract from the New Jersey State Health
Assessment Data), and agrees with the figures below, which were counted there. The real file drops in at the same path.

Among all tables of counts that agree with these figures the script takes the one of highest entropy, so nothing is in
the data that the figures don't imply. No random number is drawn: every run gives the same rows in the same order.

    python resources/make_births.py
"""

import gzip
from pathlib import Path

import numpy as np

BIRTHS = 3_096_936
PACKET = 200  # births at most; half of it makes a file of 1 MB
GOLDEN = 0.6180339887498949  # its multiples, modulo 1, are spread evenly
OUT = Path(__file__).parents[1] / "volumes" / "static" / "births.csv.gz"

# In percent: the share of a category among all births, and the share of preterm births within the category.
SHARE_AND_RATE = {
    "age_group": {
        "Under 15 yrs": (0.11, 14.87),
        "15 to 17 yrs": (2.01, 11.98),
        "18 to 19 yrs": (4.00, 10.08),
        "20 to 24 yrs": (16.34, 8.99),
        "25 to 29 yrs": (26.34, 8.30),
        "30 to 34 yrs": (31.24, 8.79),
        "35 to 39 yrs": (16.37, 10.21),
        "40 to 44 yrs": (3.37, 12.86),
        "45 to 49 yrs": (0.21, 23.08),
        "50+ yrs": (0.02, 33.82),
    },
    "reported_race_ethnicity": {
        "White, non-Hispanic": (52.22, 7.95),
        "Black, non-Hispanic": (15.91, 13.93),
        "Hispanic (of any race)": (23.23, 9.29),
        "Asian, non-Hispanic": (8.63, 8.04),
    },
    "previous_births": {"None": (40.89, 9.05), "One, Two, Three or More": (59.11, 9.34)},
    "tobacco_use_during_pregnancy": {"Yes": (7.73, 12.48), "No": (92.27, 8.95)},
    "adequate_prenatal_care": {"Inadequate": (31.94, 6.50), "Adequate": (68.06, 10.50)},
}
TARGET = "preterm_indicator"

# In percent of the births at an age, in the order of the ages and categories above. Of two categories, the first.
SHARE_BY_AGE = {
    "reported_race_ethnicity": [
        (7.7, 53.0, 39.0, 0.2),
        (17.1, 40.9, 41.4, 0.6),
        (24.7, 34.5, 39.7, 1.0),
        (35.3, 25.2, 36.0, 3.5),
        (50.9, 15.3, 24.3, 9.5),
        (61.8, 10.5, 16.5, 11.2),
        (62.8, 10.7, 16.3, 10.2),
        (59.5, 12.7, 18.5, 9.3),
        (60.0, 14.3, 16.8, 8.9),
        (47.8, 30.3, 13.9, 8.0),
    ],
    "previous_births": [97.3, 89.1, 77.0, 53.8, 44.8, 34.0, 23.7, 22.9, 31.1, 30.5],
    "tobacco_use_during_pregnancy": [4.8, 9.4, 12.6, 11.8, 8.2, 5.9, 5.6, 5.6, 5.1, 20.8],
    "adequate_prenatal_care": [68.0, 55.3, 50.3, 42.6, 31.8, 26.7, 25.3, 25.4, 24.7, 46.3],
}

# The target comes first, so that rounding along the axes keeps the preterm births of every age to the birth.
AXES = [TARGET, *SHARE_AND_RATE]
CATEGORIES = [["0", "1"], *(list(categories) for categories in SHARE_AND_RATE.values())]


def known_margins() -> dict[tuple[str, str], np.ndarray]:
    """Turn every figure into a two-way table of shares of all births, keyed by its two columns, summing to 1."""
    margins = {}
    ages = np.array([share for share, _ in SHARE_AND_RATE["age_group"].values()])
    for feature, by_age in SHARE_BY_AGE.items():
        shares = np.array(by_age)
        if shares.ndim == 1:
            shares = np.column_stack([shares, 100 - shares])
        margins["age_group", feature] = ages[:, None] * shares / shares.sum(axis=1, keepdims=True)
    for feature, categories in SHARE_AND_RATE.items():
        share, rate = np.array(list(categories.values())).T
        margins[TARGET, feature] = share * np.stack([100 - rate, rate])
    return {columns: margin / margin.sum() for columns, margin in margins.items()}


def fit_shares(rounds: int = 200) -> np.ndarray:
    """Fit the share of each distinct row to all margins by iterative proportional fitting; one axis a column."""
    shares = np.ones([len(categories) for categories in CATEGORIES])
    for _ in range(rounds):
        for columns, margin in known_margins().items():
            others = tuple(axis for axis, name in enumerate(AXES) if name not in columns)
            kept = shares.sum(axis=others, keepdims=True)
            shares = shares * (margin.reshape(kept.shape) / kept)
    return shares / shares.sum()


def count_births(shares: np.ndarray) -> np.ndarray:
    """Round to whole births: a run of neighbouring cells, such as one age, is off by less than one birth."""
    upto = np.rint(np.cumsum(shares) * BIRTHS).astype(int)
    return np.diff(upto, prepend=0).reshape(shares.shape)


def csv_line(cell: np.ndarray) -> str:
    target, *features = (categories[at] for categories, at in zip(CATEGORIES, cell, strict=True))
    return ",".join(f'"{field}"' if "," in field else field for field in [*features, target]) + "\n"


def packets(counts: np.ndarray) -> list[str]:
    """Cut the births into packets of equal rows and spread the packets of each distinct row evenly over the file.

    So every part of the file is like the whole. Sorted rows would give the target away to whoever splits by position;
    single rows in random order would take 3 MB.
    """
    placed = []
    for number, cell in enumerate(np.argwhere(counts)):
        line, births = csv_line(cell), int(counts[tuple(cell)])
        parts = -(-births // PACKET)
        sizes = [births * (part + 1) // parts - births * part // parts for part in range(parts)]
        offset = number * GOLDEN % 1
        placed += [((part + offset) / parts, line * size) for part, size in enumerate(sizes)]
    return [packet for _, packet in sorted(placed)]


def csv_text() -> str:
    header = ",".join([*SHARE_AND_RATE, TARGET]) + "\n"
    return header + "".join(packets(count_births(fit_shares())))


def write(path: Path, text: str) -> None:
    """Compress without a name and a time, which would make each run's file another one."""
    with path.open("wb") as raw, gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as file:
        file.write(text.encode())


if __name__ == "__main__":
    write(OUT, csv_text())
    print(f"{OUT}: {BIRTHS:,} births")
