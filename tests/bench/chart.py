"""The chart of docs/speed.md: one panel a network, how many times faster bnrun is by rows. Plain SVG that follows the reader's
light or dark scheme."""

import math
from xml.sax.saxutils import escape

PANEL_WIDTH, PANEL_HEIGHT, COLUMNS = 266, 172, 3
LEFT, TOP, GAP = 40, 62, 34
SERIES = [("faster", "plain", "than ONNX Runtime on the same model"),
          ("faster_folded", "folded", "than ONNX Runtime on the model that bnfold wrote")]

STYLE = """
  .ground { fill: #ffffff } .text { fill: #1f2937 } .soft { fill: #5b6472 } .grid { stroke: #d9dee5 } .even { stroke: #5b6472 }
  .plain { stroke: #1d6fb8; fill: #1d6fb8 } .folded { stroke: #c2570c; fill: #c2570c }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117 } .text { fill: #e6edf3 } .soft { fill: #9aa5b1 } .grid { stroke: #2b323b } .even { stroke: #9aa5b1 }
    .plain { stroke: #6cb6ff; fill: #6cb6ff } .folded { stroke: #f0883e; fill: #f0883e }
  }
"""


def mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


class Scale:
    """Powers of two from bottom to top."""

    def __init__(self, ratios):
        self.low = min(-1, math.floor(math.log2(min(ratios))))
        self.high = max(2, math.ceil(math.log2(max(ratios))))

    def y(self, ratio, top):
        return top + PANEL_HEIGHT * (self.high - math.log2(ratio)) / (self.high - self.low)

    def ticks(self):
        return [2.0 ** power for power in range(self.low, self.high + 1)]


def line(cls, x1, y1, x2, y2, width=1):
    return f'<line class="{cls}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke-width="{width}"/>'


def text(cls, x, y, content, anchor="start", size=11):
    return f'<text class="{cls}" x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{escape(content)}</text>'


def panel(name, cells, scale, left, top):
    rows = sorted({cell["rows"] for cell in cells})
    place = {count: left + PANEL_WIDTH * (i + 0.5) / len(rows) for i, count in enumerate(rows)}
    parts = [text("text", left, top - 8, name, size=12)]
    for tick in scale.ticks():
        y = scale.y(tick, top)
        parts.append(line("even" if tick == 1 else "grid", left, y, left + PANEL_WIDTH, y))
        parts.append(text("soft", left - 5, y + 4, f"{tick:g}×", "end", 10))
    parts += [text("soft", place[count], top + PANEL_HEIGHT + 14, str(count), "middle", 10) for count in rows]
    for shift, (key, cls, _) in zip((-4, 4), SERIES):
        points = []
        for count in rows:
            ratios = [cell[key] for cell in cells if cell["rows"] == count]
            x = place[count] + shift
            points.append((x, scale.y(mean(ratios), top)))
            parts.append(line(cls, x, scale.y(min(ratios), top), x, scale.y(max(ratios), top), 2))
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline class="{cls}" points="{path}" stroke-width="1.5" style="fill: none"/>')
        parts += [f'<circle class="{cls}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points]
    return parts


def chart(cells):
    networks = {}
    for cell in cells:
        networks.setdefault(cell["model"].split(",")[0], []).append(cell)
    scale = Scale([cell[key] for cell in cells for key, _, _ in SERIES])
    lines = math.ceil(len(networks) / COLUMNS)
    width = COLUMNS * (LEFT + PANEL_WIDTH) + 14
    height = TOP + lines * (PANEL_HEIGHT + GAP + 20)
    parts = [f'<rect class="ground" width="{width}" height="{height}" rx="6"/>',
             text("text", 14, 22, "Times faster by rows of a batch: mean and range over threads and where the BatchNormalization stands", size=13)]
    for i, (_, cls, label) in enumerate(SERIES):
        x = 14 + 290 * i
        parts += [f'<circle class="{cls}" cx="{x + 4}" cy="38" r="4"/>', text("text", x + 14, 42, label)]
    for i, name in enumerate(sorted(networks)):
        left = LEFT + i % COLUMNS * (LEFT + PANEL_WIDTH)
        top = TOP + 14 + i // COLUMNS * (PANEL_HEIGHT + GAP + 20)
        parts += panel(name, networks[name], scale, left, top)
    body = "\n".join(parts)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">\n'
            f"<style>{STYLE}</style>\n{body}\n</svg>\n")
