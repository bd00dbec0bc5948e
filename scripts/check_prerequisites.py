"""What `make` needs of a machine, told in one line before pip runs for minutes.

Runs with any Python from 3.8 on and its standard library: it is what tells people that theirs is too old.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from importlib.util import find_spec

GIGABYTES = 11
APT = "Debian and Ubuntu: sudo apt-get install git make g++ python3-dev python3-venv"


def find_missing(environment: str) -> list[str]:
    """What is missing, with the reason or the remedy.

    Args:
        environment: folder of the virtual environment that is to be made.
    """
    found = []
    if not (3, 10) <= sys.version_info[:2] <= (3, 12):
        here = ".".join(map(str, sys.version_info[:2]))
        found.append(f"Python 3.10, 3.11 or 3.12 (this is {here}; to take another one: make PYTHON=python3.11)")
    if find_spec("venv") is None or find_spec("ensurepip") is None:  # Debian's Python comes without them
        found.append("venv with pip (package python3-venv)")
    if not os.path.isfile(os.path.join(sysconfig.get_paths()["include"], "Python.h")):
        found.append("Python's headers, with which dependencies are built (package python3-dev)")
    if shutil.which(os.environ.get("CXX", "c++")) is None:
        found.append("a C++ compiler (package g++)")
    folder = os.path.dirname(os.path.abspath(environment))
    free = shutil.disk_usage(folder if os.path.isdir(folder) else ".").free / 1e9
    if free < GIGABYTES:
        found.append(f"{GIGABYTES} GB of disk, of which {free:.1f} are free")
    return found


if __name__ == "__main__":
    if missing := find_missing(sys.argv[1]):
        print(f"Missing: {'; '.join(missing)}. {APT}", file=sys.stderr)
        sys.exit(2)
