"""Reports that print as text and show themselves in a notebook."""

import html
import json


class Report:
    """What a report holds are its attributes; `to_dict()` and `to_json()` give all of it."""

    _title = ""

    def __init__(self, entries):
        self._entries = entries

    def __getattr__(self, name):
        if name.startswith("_"):  # while it is being unpickled there are no entries
            raise AttributeError(name)
        if name in self._entries:
            return self._entries[name]
        raise AttributeError(f"{type(self).__name__} has no '{name}', it has {', '.join(self._entries)}")

    def __dir__(self):
        return [*super().__dir__(), *self._entries]

    def to_dict(self):
        return self._entries

    def to_json(self, **options):
        return json.dumps(self._entries, **options)

    def _verdict(self):
        raise NotImplementedError

    def _table(self):
        """Rows of text, the first of them the head."""
        raise NotImplementedError

    def __repr__(self):
        rows = self._table()
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
        return "\n".join([self._verdict(), *(lines if len(rows) > 1 else [])])

    def _repr_html_(self):
        def cells(row, tag):
            return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in row) + "</tr>"

        head, *rows = self._table()
        body = "".join(cells(row, "td") for row in rows)
        table = f"<table><thead>{cells(head, 'th')}</thead><tbody>{body}</tbody></table>" if rows else ""
        return f"<div><p><b>{html.escape(self._title)}</b> {html.escape(self._verdict())}</p>{table}</div>"


class FoldReport(Report):
    """What became of each BatchNormalization: `entries`, `before` and `after` (nodes, parameters, operators), `complete`."""

    _title = "Folding"

    def __init__(self, entries, model=None):
        super().__init__(entries)
        self.model = model  # the bytes of the folded model, where it was not written to a file

    def _verdict(self):
        folded = sum(entry["folded"] for entry in self.entries)
        return (f"folded {folded} of {len(self.entries)}: {self.before['nodes']} nodes before, {self.after['nodes']} after, "
                f"{self.before['parameters']} parameters before, {self.after['parameters']} after")

    def _table(self):
        rows = [["", "operator", "name", "into, or why not"]]
        for entry in self.entries:
            if entry["folded"]:
                fate = f"{entry['into']} ({entry['direction']}, {entry['channels']} channels)"
            else:
                fate = ": ".join(filter(None, [entry["reason"], entry["detail"], entry["remedy"]]))
            rows.append(["folded" if entry["folded"] else "left", entry["form"], entry["name"], fate])
        return rows


class VerifyReport(Report):
    """Whether two models compute the same: true where they agree. `verdict`, `why`, `outputs`, `rows`."""

    _title = "Verification"

    def __bool__(self):
        return self.verdict == "agree"

    def _verdict(self):
        words = {"agree": "the models agree", "differ": "the models differ", "nothing_finite": "no output was finite",
                 "not_compared": "the models were not compared"}
        return words[self.verdict] + (f": {self.why}" if self.why else "") + f" ({self.rows} rows)"

    def _table(self):
        rows = [["output", "largest error", "relative", "times what is allowed", "classes changed"]]
        for output in self.outputs:
            rows.append([output["name"], f"{output['max_absolute']:.3g}", f"{output['max_relative']:.3g}",
                         f"{output['excess']:.3g}", f"{output['class_flips']} of {output['class_rows']}"])
        return rows


class Inspection(Report):
    """What a model consists of: `layers`, `parameters`, `macs` per row, `opsets`, `metadata`, `class_names`, `fold`."""

    _title = "Model"

    def _verdict(self):
        macs = "unknown" if self.macs is None else self.macs
        return f"{len(self.layers)} operators, {self.parameters} parameters, {macs} multiply-accumulates per row"

    def _table(self):
        rows = [["operator", "name", "output", "type", "parameters", "problem"]]
        for layer in self.layers:
            rows.append([layer["op_type"], layer["name"], layer["output"], layer["type"], str(layer["parameters"]),
                         layer["problem"]])
        return rows
