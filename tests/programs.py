"""Programs beside Python's packages that some tests need, and that not every machine has."""

import os
import shutil

import pytest

_SYSTEM = "/usr/sbin"
"""Where Debian puts servers, which is not on everybody's path."""


def program(*names: str, package: str) -> str:
    """The path of the first of these programs that is there, for a fixture to give.

    Without any, the test is skipped; in continuous integration, where ``.ci/run`` installs
    what is missing, it fails.
    """
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), _SYSTEM))
    for name in names:
        if found := shutil.which(name, path=path):
            return found
    missing = f"needs {names[0]} (Debian or Ubuntu: apt-get install {package})"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)
