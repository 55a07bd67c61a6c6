# SPDX-License-Identifier: MIT
"""Draws lines over logarithmic or linear axes, and bars, as SVG."""
import html
import math

WIDTH, HEIGHT = 790, 420
LEFT, RIGHT, TOP, BOTTOM = 90, 215, 44, 56
MARKED = 16  # up to as many points are marked: between them nothing was measured
COLOURS = ("#1b6ca8", "#d1495b", "#3a7d44", "#e09f3e", "#6c4f99", "#4a4a4a", "#2a9d8f", "#9c6644")


def short(value):
    """A number as short as it is clear: 1.5K, 20M."""
    for limit, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "K")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{letter}"
    return f"{value:.3g}"


def short_bytes(value):
    """Bytes in powers of 1024."""
    for shift, letter in ((40, "T"), (30, "G"), (20, "M"), (10, "K")):
        if abs(value) >= 1 << shift:
            return f"{value / (1 << shift):.3g}{letter}iB"
    return f"{value:.0f} B"


class Axis:
    """Maps values to places between `low` and `high` of the picture."""

    def __init__(self, values, low, high, base):
        values = [v for v in values if not base or v > 0]
        self.base, self.low, self.high = base, low, high
        self.least, self.most = min(values), max(values)
        if base:
            self.least = base ** math.floor(math.log(self.least, base) + 1e-9)
            self.most = base ** math.ceil(math.log(self.most, base) - 1e-9)
        else:
            self.least = min(0, self.least)
        if self.most == self.least:
            self.most = self.least * self.base if base else self.least + 1

    def place(self, value):
        """Where in the picture."""
        if self.base:
            value = max(value, self.least)
            share = math.log(value / self.least) / math.log(self.most / self.least)
        else:
            share = (value - self.least) / (self.most - self.least)
        return self.low + share * (self.high - self.low)

    def ticks(self):
        """At most nine values to write beside the axis."""
        if not self.base:
            step = 10 ** math.floor(math.log10((self.most - self.least) / 4))
            while (self.most - self.least) / step > 8:
                step *= 2
            return [self.least + i * step for i in range(int((self.most - self.least) / step + 1e-9) + 1)]
        powers = round(math.log(self.most / self.least, self.base))
        step = max(1, -(-powers // 8))
        return [self.least * self.base ** i for i in range(0, powers + 1, step)]


def text(x, y, words, anchor="middle", size=12, extra=""):
    """Words in the picture."""
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"{extra}>'
            f"{html.escape(words)}</text>")


def _frame(title, height):
    return [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">',
            f'<rect width="{WIDTH}" height="{height}" fill="white"/>', text(WIDTH / 2, 24, title, size=15)]


def lines(title, x_name, y_name, series, x_base=2, y_base=10, x_text=short_bytes, y_text=short):
    """`series`: (name, points, dashed, colour's number); points (x, y). A base of 0: that axis is linear."""
    x_axis = Axis([x for s in series for x, _ in s[1]], LEFT, WIDTH - RIGHT, x_base)
    y_axis = Axis([y for s in series for _, y in s[1]], HEIGHT - BOTTOM, TOP, y_base)
    out = _frame(title, HEIGHT)
    for value in y_axis.ticks():
        y = y_axis.place(value)
        out.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        out.append(text(LEFT - 8, y + 4, y_text(value), "end"))
    for value in x_axis.ticks():
        x = x_axis.place(value)
        out.append(f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#eee"/>')
        out.append(text(x, HEIGHT - BOTTOM + 18, x_text(value)))
    out.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, x_name, size=13))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    out.append(text(18, middle, y_name, size=13, extra=f' transform="rotate(-90 18 {middle})"'))
    for i, (name, points, dashed, colour) in enumerate(series):
        colour, dash = COLOURS[colour % len(COLOURS)], ' stroke-dasharray="6 4"' if dashed else ""
        path = "L".join(f"{x_axis.place(x):.1f} {y_axis.place(y):.1f}" for x, y in points)
        out.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        if len(points) <= MARKED:
            out += [f'<circle cx="{x_axis.place(x):.1f}" cy="{y_axis.place(y):.1f}" r="3" fill="{colour}"/>'
                    for x, y in points]
        y = TOP + 12 + 18 * i
        out.append(f'<path d="M{WIDTH - RIGHT + 12} {y - 4}h26" stroke="{colour}" stroke-width="2"{dash}/>')
        out.append(text(WIDTH - RIGHT + 44, y, name, "start"))
    return "\n".join(out + ["</svg>", ""])


def bars(title, rows, mark):
    """Shares: `rows` of (name, share, target or None); a line at each target and one at `mark`. What is above its
    target has another colour."""
    left, line = 330, 24
    height = TOP + line * len(rows) + 30
    axis = Axis([0, mark] + [share for _, share, _ in rows], left, WIDTH - 60, 0)
    out = _frame(title, height)
    for i, (name, share, target) in enumerate(rows):
        y = TOP + line * i
        out.append(text(left - 8, y + 15, name, "end"))
        colour = COLOURS[3 if target and share > target else 0]
        out.append(f'<rect x="{left}" y="{y + 4}" width="{axis.place(share) - left:.1f}" height="{line - 8}" '
                   f'fill="{colour}"/>')
        out.append(text(WIDTH - 12, y + 15, f"{share:.3f}", "end"))
        if target:
            at = axis.place(target)
            out.append(f'<path d="M{at:.1f} {y + 1}v{line - 2}" stroke="{COLOURS[1]}" stroke-width="2"/>')
    x = axis.place(mark)
    out.append(f'<path d="M{x:.1f} {TOP}V{height - 26}" stroke="#888" stroke-dasharray="3 3"/>')
    out.append(text(x, height - 10, "Linux"))
    return "\n".join(out + ["</svg>", ""])
