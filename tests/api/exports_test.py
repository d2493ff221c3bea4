"""What libbnrun.so exports is what the public headers declare with BNRUN_API: nothing of its rooms, of protobuf, of Highway.

usage: exports_test.py libbnrun.so engine/include/bnrun"""

import pathlib
import re
import subprocess
import sys

LIBRARY, HEADERS = sys.argv[1:]


def exported():
    """Demangled names of all that programs can link."""
    table = subprocess.run(["nm", "-DC", "--defined-only", LIBRARY], check=True, text=True, stdout=subprocess.PIPE).stdout
    return [line.split(maxsplit=2)[2] for line in table.splitlines()]


def declared():
    """Names of functions and classes that the headers mark, without namespaces."""
    text = "".join(path.read_text() for path in sorted(pathlib.Path(HEADERS).glob("*.h")))
    classes = re.findall(r"(?:class|struct) BNRUN_API (\w+)", text)
    functions = re.findall(r"BNRUN_API (?!__)[^;{(]*?(\w+)\(", text)
    members = re.findall(r"BNRUN_API explicit operator (\w+)", text)
    return {*classes, *functions, *members}


def owner_and_name(symbol):
    """The parts of bnrun::train::Network::fit(...) behind the namespaces."""
    path = re.sub(r"^(typeinfo|typeinfo name|vtable) for ", "", symbol)
    path = re.split(r"[(\[]", path.replace("operator float", "operator_float"))[0]
    parts = path.split("::")
    return parts[0], parts[1:]


def main():
    known = declared()
    symbols = exported()
    problems = []
    for symbol in symbols:
        if symbol.startswith("bnrun_") and symbol in known:  # of the C interface
            continue
        namespace, parts = owner_and_name(symbol)
        if namespace != "bnrun" or not known.intersection(parts):
            problems.append(symbol)
    for name in ("bnrun::Session::run", "bnrun::fold", "bnrun::train::fit", "typeinfo for bnrun::Error", "bnrun_session_run"):
        if not any(symbol.startswith(name) for symbol in symbols):
            problems.append(f"{name} is missing")
    if problems:
        sys.exit(f"{LIBRARY} exports what no public header marks:\n" + "\n".join(problems))
    print(f"{len(symbols)} symbols, all of public headers")


if __name__ == "__main__":
    main()
