"""The files of ``deploy/``, looked at by the programs that will read them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from server.reference import every_setting

DEPLOY = Path(__file__).parents[1] / "deploy"
UNIT = DEPLOY / "latchkey.service"
MOST_EXPOSURE = 15
"""In tenths, of 100: what systemd itself calls OK ends at 50."""

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd is not installed here"
)


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@needs_systemd
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path):
    here = tmp_path / UNIT.name
    here.write_text(UNIT.read_text().replace("/opt/latchkey/venv/bin/python", sys.executable))
    verified = analyze("verify", "--man=no", str(here))
    assert (verified.returncode, verified.stderr) == (0, "")


@needs_systemd
def test_a_server_under_the_unit_may_do_little():
    judged = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSURE}", str(UNIT))
    assert judged.returncode == 0, judged.stdout


def test_every_setting_that_the_files_name_exists():
    known = {setting.variable for setting in every_setting()}
    for file in filter(Path.is_file, DEPLOY.iterdir()):
        named = set(re.findall(r"\bLATCHKEY_[A-Z0-9_]+", file.read_text()))
        assert {name.removesuffix("_FILE") for name in named} <= known, file.name
