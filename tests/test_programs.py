"""A program that a test needs and the machine does not have: skipped here, failed in CI."""

import pytest

from tests.programs import program


def test_a_missing_program_fails_its_tests_in_continuous_integration(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install nowhere"):
        program("no-such-program", package="nowhere")


def test_a_missing_program_skips_its_tests_elsewhere(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install nowhere"):
        program("no-such-program", package="nowhere")
