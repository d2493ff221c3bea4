"""A table of numbers, text, true and false with missing values, and the same rows as inputs of a model.

Everything is drawn from a fixed seed.
"""

import random

NUMBERS = ["age", "income", "member"]
TEXTS = ["colour", "shirt size"]
TARGET = "bought"
COLUMNS = ["age", "colour", "income", "member", "shirt size", TARGET]
BLANKS = ["", "NA", "?", "nan", "null", " "]


def draw(rows=400, seed=1, missing=0.05):
    """Rows of values, None where one is missing."""
    generator = random.Random(seed)
    table = []
    for _ in range(rows):
        age = generator.randint(18, 80)
        colour = generator.choice(["red", "green", "light blue"])
        member = generator.choice([True, False])
        income = round(generator.gauss(30 + age / 3 + (10 if colour == "red" else 0), 5), 2)
        row = [age, colour, income, member, generator.choice(["S", "M", "L"])]
        row = [None if generator.random() < missing else value for value in row]
        table.append([*row, "yes" if income + 5 * member > 52 else "no"])
    return table


def csv_text(table, columns=COLUMNS, separator=",", decimal=".", seed=2):
    """The rows as a person may write them: columns in any order, missing values spelled in any way."""
    generator = random.Random(seed)

    def cell(value):
        if value is None:
            return generator.choice(BLANKS)
        if isinstance(value, bool):
            return generator.choice(["true", "True", "TRUE"] if value else ["false", "False", "FALSE"])
        return str(value).replace(".", decimal) if isinstance(value, float) else str(value)

    places = [COLUMNS.index(name) for name in columns]
    lines = [separator.join(cell(row[place]) for place in places) for row in table]
    return "\n".join([separator.join(columns), *lines]) + "\n"


def prepared(table):
    """What a runtime is given: input name to nested lists."""
    def column(name, blank, convert):
        place = COLUMNS.index(name)
        return [blank if row[place] is None else convert(row[place]) for row in table]

    numbers = [column(name, float("nan"), float) for name in NUMBERS]
    inputs = {"input": [list(row) for row in zip(*numbers)]}
    for name in TEXTS:
        inputs[name] = [[value] for value in column(name, "", str)]
    return inputs
