"""Whether a caller prefers a page or JSON."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.accept import prefers_html

A_PAGE = [
    "text/html",
    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "text/html, application/json",
    "application/json;q=0.5, text/html",
    "application/json, text/html;q=1.0",
    "TEXT/HTML",
    "text/html;charset=utf-8",
    "text/html ; q=0.3",
]
JSON = [
    "",
    "*/*",
    "application/json",
    "application/json, text/html;q=0.9",
    "text/html;q=0",
    "text/html;q=nonsense",
    "text/html;q=",
    "text/plain",
    "image/webp,*/*",
    "text/htmlx",
]


@pytest.mark.parametrize("accept", A_PAGE)
def test_a_browser_prefers_a_page(accept: str):
    assert prefers_html(accept)


@pytest.mark.parametrize("accept", JSON)
def test_a_program_prefers_json(accept: str):
    assert not prefers_html(accept)


@given(accept=st.text())
def test_whatever_a_header_says_it_prefers_one_or_the_other(accept: str):
    assert prefers_html(accept) in (True, False)


@given(html=st.integers(1, 9), json=st.integers(0, 9))
def test_the_higher_weight_wins_and_a_page_wins_a_tie(html: int, json: int):
    accept = f"application/json;q=0.{json}, text/html;q=0.{html}"
    assert prefers_html(accept) is (html >= json)
