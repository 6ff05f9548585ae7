"""What an operator may type: numbers and names within their limits."""

import pytest

from server.__main__ import main

KEY = ("temp-key", "create", "--org", "x", "--lock", "1")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("org", "create", " "), "a name has 1 to 200 characters"),
        (("lock", "create", "x" * 201, "--org", "x"), "a name has 1 to 200 characters"),
        (("key", "issue", "--super", "--expires-in-days", "-1"), "'-1' is no number from"),
        (("key", "rotate", "--super", "--overlap-minutes", "-1"), "'-1' is no number from 0"),
        ((*KEY, "--hours", "1e300"), "'1e300' is no number from"),
        ((*KEY, "--hours", "nan"), "'nan' is no number from"),
        ((*KEY, "--uses", "0"), "'0' is no number from 1"),
        ((*KEY, "--uses", "1.5"), "'1.5' is no number from 1"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert said in capsys.readouterr().err
