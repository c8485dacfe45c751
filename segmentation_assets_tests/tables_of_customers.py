"""Tables with one row per customer and no orders, as they are found in the field, made from a seed.

Belongs here: the files and their truth. What `init` and a run make of them is tested elsewhere.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

FIVE = [(25, 80, 22), (25, 20, 23), (55, 50, 81), (88, 82, 39), (88, 17, 35)]  # income, score, customers


def shoppers(seed: int = 7) -> tuple[pd.DataFrame, np.ndarray]:
    """200 customers with age, income and spending score in five groups, and the group of each."""
    rng, truth = np.random.default_rng(seed), np.repeat(np.arange(len(FIVE)), [size for _, _, size in FIVE])
    income, score = (np.array(FIVE)[truth, column] for column in (0, 1))
    table = pd.DataFrame({
        "CustomerID": np.arange(1, len(truth) + 1), "Gender": rng.choice(["Male", "Female"], len(truth)),
        "Age": rng.integers(18, 70, len(truth)), "Annual Income (k$)": rng.normal(income, 7).clip(15).round().astype(int),
        "Spending Score (1-100)": rng.normal(score, 8).clip(1, 99).round().astype(int),
    })  # fmt: skip
    return table, truth


def cards(path: Path, customers: int = 9_000, seed: int = 7) -> None:
    """Card holders: text ids, skewed amounts, shares of months, a redundant column, and missing values."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, customers)
    balance, purchases = (rng.lognormal(np.array(mean)[kind], 0.7) for mean in ([5, 7, 8], [7.5, 4, 6]))
    table = pd.DataFrame({
        "CUST_ID": [f"C{10001 + i}" for i in range(customers)], "BALANCE": balance.round(2),
        "BALANCE_FREQUENCY": rng.beta(8, 1, customers).round(3), "PURCHASES": purchases.round(2),
        "ONEOFF_PURCHASES": (purchases * rng.uniform(0.97, 1, customers)).round(2),
        "CASH_ADVANCE": (rng.lognormal(np.array([1, 7, 4])[kind], 1) * (rng.random(customers) < 0.6)).round(2),
        "PURCHASES_TRX": rng.poisson(np.array([20, 2, 8])[kind]), "CREDIT_LIMIT": (rng.lognormal(8.2, 0.6, customers) / 100).round() * 100,
        "MINIMUM_PAYMENTS": rng.lognormal(6, 1, customers).round(2), "PRC_FULL_PAYMENT": (rng.beta(1, 6, customers)).round(3),
        "TENURE": rng.choice([12, 11, 8], customers, p=[0.97, 0.02, 0.01]),
    })  # fmt: skip
    table.loc[rng.random(customers) < 0.035, "MINIMUM_PAYMENTS"] = np.nan
    table.loc[0, "CREDIT_LIMIT"] = np.nan
    table.to_csv(path, index=False)


def wholesale(path: Path, seed: int = 7) -> None:
    """440 clients without ids, by annual spend on six categories, with codes and a Latin-1 blank in a header."""
    rng = np.random.default_rng(seed)
    channel = rng.choice([1, 2], 440, p=[0.68, 0.32])
    table = pd.DataFrame({"Channel": channel, "Region": rng.choice([1, 2, 3], 440, p=[0.18, 0.1, 0.72])})
    means = {
        "Fresh": (9, 8.5),
        "Milk": (7.6, 9),
        "Grocery": (7.9, 9.5),
        "Frozen": (7.6, 7),
        "Detergents\xa0Paper": (6, 8.5),
        "Delicassen": (6.6, 7),
    }
    for name, (one, other) in means.items():
        table[name] = rng.lognormal(np.where(channel == 1, one, other), 0.8).round().astype(int)
    table.to_csv(path, index=False, encoding="latin-1")


def campaign(path: Path, seed: int = 7) -> None:
    """2,240 customers with `;` and a byte order mark: demographics with a year of birth 1893, amounts, answers, and two constants."""
    rng, n = np.random.default_rng(seed), 2_240
    rich = rng.random(n) < 0.4
    table = pd.DataFrame({
        "ID": rng.permutation(np.arange(1, n + 1) * 5), "Year_Birth": rng.integers(1945, 1996, n),
        "Education": rng.choice(["Graduation", "PhD", "Master", "Basic", "2n Cycle"], n),
        "Marital_Status": rng.choice(["Married", "Single", "Widow"], n),
        "Income": np.where(rich, rng.normal(72_000, 9_000, n), rng.normal(38_000, 9_000, n)).round(),
        "Kidhome": rng.integers(0, 3, n), "Dt_Customer": pd.to_datetime("2012-08-01") + pd.to_timedelta(rng.integers(0, 700, n), "D"),
        "Recency": rng.integers(0, 100, n), "MntWines": rng.lognormal(np.where(rich, 6.3, 3.5), 0.6).round().astype(int),
        "MntMeatProducts": rng.lognormal(np.where(rich, 5.8, 3), 0.6).round().astype(int),
        "NumWebPurchases": rng.poisson(np.where(rich, 7, 3)),
        "NumStorePurchases": rng.poisson(np.where(rich, 8, 3)), "Complain": (rng.random(n) < 0.01).astype(int),
        "Z_CostContact": 3, "Z_Revenue": 11, "Response": (rng.random(n) < np.where(rich, 0.2, 0.1)).astype(int),
    })  # fmt: skip
    table.loc[0, "Year_Birth"], table.loc[1, "Income"] = 1893, 666_666
    table.loc[rng.choice(n, 24, replace=False), "Income"] = np.nan
    table["Dt_Customer"] = table["Dt_Customer"].dt.strftime("%d-%m-%Y")
    table.to_csv(path, index=False, sep=";", encoding="utf-8-sig")


def planted(groups: int, seed: int, customers: int = 600, informative: int = 4, apart: float = 5.0) -> tuple[pd.DataFrame, np.ndarray]:
    """A table with so many groups in some columns, two columns of noise and an age, and the group of each customer.

    Args:
        apart: least distance of the groups' centres, in standard deviations of a group.
    """
    rng = np.random.default_rng(seed)
    while True:
        centres = rng.uniform(0, 1.8 * apart, (groups, informative))
        if (np.linalg.norm(centres[:, None] - centres[None], axis=2) + 99 * np.eye(groups)).min() >= apart:
            break
    truth = rng.choice(groups, customers, p=rng.dirichlet(np.full(groups, 10)))
    values = 100 + 10 * (centres[truth] + rng.normal(size=(customers, informative)))
    table = pd.DataFrame(values.round(2), columns=[f"usage_{i + 1}" for i in range(informative)])
    table.insert(0, "customer", [f"c{i}" for i in range(customers)])
    noise = {"noise_1": rng.normal(50, 9, customers).round(2), "noise_2": rng.uniform(0, 100, customers).round(2)}
    return table.assign(**noise, age=rng.integers(18, 80, customers)), truth


def dated_cards(days: Sequence[str], customers: int = 3_000, seed: int = 7) -> dict[str, pd.DataFrame]:
    """Card holders at each of some days: ids, 11 columns, missing values. Of each day's customers 2% are gone at the next, as many come,
    and one of the three groups spends less and draws more cash from day to day."""
    rng = np.random.default_rng(seed)
    number = customers
    ids, kind = np.arange(customers), rng.integers(0, 3, customers)
    own = rng.normal(size=(customers, 6))
    found = {}
    for step, day in enumerate(days):
        drift = np.where(kind == 1, 0.35 * step, 0.0)
        now = own + rng.normal(scale=0.1, size=own.shape)
        table = pd.DataFrame({
            "CUST_ID": [f"C{10_001 + i}" for i in ids],
            "BALANCE": np.exp(np.array([5.0, 6.8, 8.2])[kind] + 0.5 * now[:, 0]).round(2),
            "PURCHASES": np.exp(np.array([7.2, 5.5, 3.5])[kind] - drift + 0.5 * now[:, 1]).round(2),
            "CASH_ADVANCE": np.exp(np.array([2.0, 4.0, 7.5])[kind] + drift + 0.5 * now[:, 2]).round(2),
            "PURCHASES_TRX": np.exp(np.array([3.2, 2.2, 0.8])[kind] - drift / 2 + 0.3 * now[:, 1]).round(),
            "CREDIT_LIMIT": (np.exp(8.2 + 0.5 * own[:, 3]) / 100).round() * 100,
            "PAYMENTS": np.exp(np.array([7.0, 6.0, 6.5])[kind] + 0.6 * now[:, 4]).round(2),
            "MINIMUM_PAYMENTS": np.exp(5.5 + 0.8 * now[:, 5]).round(2),
            "PRC_FULL_PAYMENT": rng.beta(1, 6, len(ids)).round(3),
            "TENURE": rng.choice([12, 11, 8], len(ids), p=[0.9, 0.06, 0.04]),
            "CARD": rng.choice(["classic", "gold", "student"], len(ids)),
            "AGE": (18 + 50 * (own[:, 3] > 0) * rng.random(len(ids)) + 5).round(),
        })  # fmt: skip
        table.loc[rng.random(len(ids)) < 0.035, "MINIMUM_PAYMENTS"] = np.nan
        found[day] = table
        stays = rng.random(len(ids)) >= 0.02
        come = int((~stays).sum())
        ids = np.concatenate([ids[stays], number + np.arange(come)])
        kind = np.concatenate([kind[stays], rng.integers(0, 3, come)])
        own = np.concatenate([own[stays], rng.normal(size=(come, 6))])
        number += come
    return found
