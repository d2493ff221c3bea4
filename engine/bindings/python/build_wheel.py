"""What pip calls to make a wheel (PEP 517): builds the library and the module with CMake and packs them together."""

import base64
import hashlib
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[3]


def _run(*command):
    # pip hides Debian's packages, numpy's headers among them, by what it puts here.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([*map(str, command)], check=True, env=environment)


def _version():
    return re.search(r"project\(bnrun VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text()).group(1)


def _install(folder, options):
    """The package, with the library beside it, in `folder`/bnrun. `options` are more of CMake's."""
    with tempfile.TemporaryDirectory() as work:
        build = pathlib.Path(os.environ.get("BNRUN_WHEEL_BUILD", f"{work}/build"))  # kept where it is named
        _run("cmake", "-S", ROOT, "-B", build, "-DCMAKE_BUILD_TYPE=Release", "-DBNRUN_TOOLS=OFF", "-DBNRUN_TESTS=OFF",
             "-DBNRUN_UNITY=ON", "-DBNRUN_PYTHON_MODULE=ON", f"-DBNRUN_PYTHON_EXECUTABLE={sys.executable}",
             "-DBNRUN_PYTHON_DIR=package", "-DCMAKE_INSTALL_LIBDIR=lib", *options)
        _run("cmake", "--build", build, "--target", "bnrun_python", "--parallel")
        for component in ("python", "library"):
            _run("cmake", "--install", build, "--prefix", f"{work}/prefix", "--component", component, "--strip")
        shutil.copytree(f"{work}/prefix/package/bnrun", folder / "bnrun")
        library = next(path for path in pathlib.Path(f"{work}/prefix/lib").glob("libbnrun.so.?") if path.is_symlink())
        shutil.copy(library, folder / "bnrun" / library.name)  # the file behind the link, by the name that is looked for


def _tags():
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    return f"{tag}-{tag}-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


def _metadata():
    """The files of the folder bnrun-VERSION.dist-info. numpy is not named: pip would fetch another than that built with."""
    return {"METADATA": f"Metadata-Version: 2.1\nName: bnrun\nVersion: {_version()}\nSummary: ONNX models on CPUs with "
                        "BatchNormalization folded away\nLicense: Apache-2.0\nRequires-Python: >=3.10\n",
            "WHEEL": f"Wheel-Version: 1.0\nGenerator: bnrun\nRoot-Is-Purelib: false\nTag: {_tags()}\n"}


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    """What pip asks for first: without it the wheel would be built twice."""
    name = f"bnrun-{_version()}.dist-info"
    folder = pathlib.Path(metadata_directory) / name
    folder.mkdir()
    for file, text in _metadata().items():
        (folder / file).write_text(text)
    return name


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """`pip wheel . --config-settings=cmake=-DBNRUN_BLAS=OFF` hands options to CMake."""
    name = f"bnrun-{_version()}"
    files = {f"{name}.dist-info/{file}": text.encode() for file, text in _metadata().items()}
    with tempfile.TemporaryDirectory() as folder:
        _install(pathlib.Path(folder), shlex.split((config_settings or {}).get("cmake", "")))
        for path in sorted(pathlib.Path(folder).rglob("*")):
            if path.is_file():
                files[str(path.relative_to(folder))] = path.read_bytes()
    records = []
    with zipfile.ZipFile(pathlib.Path(wheel_directory) / f"{name}-{_tags()}.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, content in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            records.append(f"{path},sha256={digest},{len(content)}\n")
            wheel.writestr(path, content)
        wheel.writestr(f"{name}.dist-info/RECORD", "".join(records) + f"{name}.dist-info/RECORD,,\n")
    return f"{name}-{_tags()}.whl"


def build_sdist(sdist_directory, config_settings=None):
    raise NotImplementedError("the source tree itself is what is built from: pip wheel .")
