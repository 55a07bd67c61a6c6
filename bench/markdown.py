# SPDX-License-Identifier: MIT
"""Numbers and tables as RESULTS.md has them."""
import re


def number(value):
    """12,345 or 1.25."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2f}"


def table(head, rows):
    """Of Markdown; columns of numbers to the right."""
    numbers = [all(re.fullmatch(r"[-\d.,]*", row[i]) for row in rows) for i in range(len(head))]
    marks = ["---:" if is_number else "---" for is_number in numbers]
    out = ["| " + " | ".join(head) + " |", "|" + "|".join(marks) + "|"]
    return "\n".join(out + ["| " + " | ".join(row) + " |" for row in rows])
