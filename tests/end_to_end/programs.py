"""Calling the built programs, for the end-to-end tests. Both folders come from the environment."""

import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import unittest

PROGRAMS = pathlib.Path(os.environ["BNRUN_PROGRAMS"])
MODELS = pathlib.Path(os.environ["BNRUN_TEST_MODELS"])

DONE, ANSWER_IS_NO, USAGE, INVALID_MODEL, UNSUPPORTED, INVALID_INPUT, RESOURCE_LIMIT, IO = range(8)


class ProgramTest(unittest.TestCase):
    """Runs each test in an empty folder of its own."""

    program = ""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_program(self, *arguments, stdin=None, stdout=subprocess.PIPE, address_space=None):
        """`address_space`: a limit in bytes."""
        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))

        feed = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
        return subprocess.run([PROGRAMS / self.program, *map(str, arguments)], cwd=self.folder, **feed,
                              stdout=stdout, stderr=subprocess.PIPE, timeout=60, check=False,
                              preexec_fn=limit if address_space else None)

    def succeed(self, *arguments, **options):
        """Standard output of a run that must exit 0."""
        result = self.run_program(*arguments, **options)
        self.assertEqual(result.returncode, DONE, result.stderr.decode())
        return result.stdout

    def fail_with(self, code, *arguments, message="", **options):
        """A run that must exit with `code`, say `message` in one line on standard error and leave no file."""
        before = sorted(self.folder.iterdir())
        result = self.run_program(*arguments, **options)
        error = result.stderr.decode()
        self.assertEqual(result.returncode, code, error)
        if code != ANSWER_IS_NO:
            self.assertEqual(error.count("\n"), 1, error)
            self.assertTrue(error.startswith(f"{self.program}: "), error)
            self.assertTrue(error[:-1].isprintable(), error)
        self.assertIn(message, error)
        self.assertEqual(sorted(self.folder.iterdir()), before, "a file was left behind")
        return result

    def peak_bytes(self, *arguments):
        """The most memory that a run that must exit 0 had at one time."""
        # A process counts what its parent had when it forked, so a small one stands between.
        run = ("import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=sys.stderr, check=True); "
               "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
        command = [sys.executable, "-c", run, PROGRAMS / self.program, *map(str, arguments)]
        result = subprocess.run(command, cwd=self.folder, capture_output=True, timeout=60, check=False)
        self.assertEqual(result.returncode, DONE, result.stderr.decode())
        return 1024 * int(result.stdout)

    def write(self, name, content):
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path
