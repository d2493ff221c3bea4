"""ops/attribute_names.inc lists every attribute that the installed onnx package knows, in any version."""

import pathlib
import re
import unittest

import onnx.defs

OPS = pathlib.Path(__file__).resolve().parents[2] / "engine" / "ops"


class AttributeNamesTest(unittest.TestCase):
    def test_what_onnx_has_is_listed(self):
        table = set(re.findall(r'^OP(?:_OF_KIND)?\("([^"]*)", (\w+),', (OPS / "table.inc").read_text(), re.M))
        rows = re.findall(r'^ATTRIBUTES\("([^"]*)", (\w+), "([^"]*)"\)$', (OPS / "attribute_names.inc").read_text(), re.M)
        listed = {(domain, name): set(names.split(" ")) for domain, name, names in rows}
        self.assertEqual(len(listed), len(rows), "an operator has two rows")
        self.assertLessEqual(set(listed), table, "rows of operators that table.inc lacks")
        compared = 0
        for schema in onnx.defs.get_all_schemas_with_history():
            key = (schema.domain, schema.name)
            if key in table:
                compared += 1
                missing = set(schema.attributes) - listed.get(key, set())
                self.assertEqual(missing, set(), f"{schema.name}, version {schema.since_version}")
        self.assertGreater(compared, 300)


if __name__ == "__main__":
    unittest.main()
