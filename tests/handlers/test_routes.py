"""Every route, as one table: who may call it is declared, enforced and published."""

import re

import pytest
import tornado.web

from handlers.operation import Access
from handlers.routes import ROUTES
from tests.house import House

METHODS = [name for name in tornado.web.RequestHandler.SUPPORTED_METHODS if name != "HEAD"]
OPERATIONS = [
    pytest.param(path, method, operation.access, id=f"{method} {path}")
    for path, handler in ROUTES
    for method, operation in handler.operations.items()
]
UNKNOWN_KEY = "6f0d8c2e-6f4e-4f4b-9d9b-0c0a5f1f7a11"


def address(path: str) -> str:
    """A route's path with something in each place."""
    return re.sub(r"\{\w+\}", "1", path.replace("{key_uuid}", UNKNOWN_KEY))


def implemented_by(handler: type[tornado.web.RequestHandler]) -> set[str]:
    """The methods that a handler answers; HEAD goes with GET."""
    return {
        method
        for method in METHODS
        if getattr(handler, method.lower())
        is not getattr(tornado.web.RequestHandler, method.lower())
    }


def test_no_route_is_there_twice():
    paths = [re.sub(r"\{\w+\}", "{}", path) for path, _ in ROUTES]
    assert len(set(paths)) == len(paths)


@pytest.mark.parametrize(("path", "handler"), ROUTES, ids=[path for path, _ in ROUTES])
def test_every_method_that_a_route_has_says_who_may_call_it_and_no_other_is_declared(
    path: str, handler: type
):
    assert implemented_by(handler) == set(handler.operations)
    assert handler.operations


@pytest.mark.parametrize(("path", "method", "access"), OPERATIONS)
def test_every_declaration_names_one_kind_of_caller(path: str, method: str, access: Access):
    assert isinstance(access, Access)


async def test_every_method_for_operators_refuses_whoever_sends_no_credential(house: House):
    for case in OPERATIONS:
        path, method, access = case.values
        if access is Access.OPERATOR:
            answer = await house.fetch(address(str(path)), str(method), body="{}")
            assert answer.status == 401, case.id
            assert "WWW-Authenticate" in answer.response.headers, case.id
            if answer.response.body:  # the contract has one route without
                assert answer.json()["reason"] == "unauthenticated", case.id


async def test_every_method_for_operators_refuses_a_wrong_credential(house: House):
    for case in OPERATIONS:
        path, method, access = case.values
        if access is Access.OPERATOR:
            wrong_key = await house.fetch(address(str(path)), str(method), "{}", X_API_Key="lk_no")
            wrong_token = await house.fetch(
                address(str(path)), str(method), "{}", Authorization="Bearer no"
            )
            assert (wrong_key.status, wrong_token.status) == (401, 401), case.id


async def test_no_method_for_guests_or_anybody_asks_for_an_operators_credential(house: House):
    for case in OPERATIONS:
        path, method, access = case.values
        if access is Access.GUEST:
            answer = await house.fetch(address(str(path)), str(method))
            assert answer.status == 404, case.id


async def test_no_method_breaks_on_what_nobody_thought_of(house: House):
    odd = ["0", "-1", "9" * 40, "%00", "%ff", "a%2Fb", "..", "%27%22%3Cb%3E", "{}", "%7B%24ne%7D"]
    for path, handler in ROUTES:
        for value in odd if "{" in path else ["1"]:
            for method in handler.operations:
                answer = await house.fetch(
                    re.sub(r"\{\w+\}", value, path)
                    + f"?door={value}&command={value}&lockId={value}",
                    method,
                    body=None if method == "GET" else "[[[",
                    X_API_Key=house.api_key,
                )
                assert answer.status < 500, (method, path, value)


async def test_every_method_of_every_route_is_on_the_documentation_page(house: House):
    page = await house.visit("/docs")
    shown = page.html.get_text(" ")
    assert page.status == 200
    for path, handler in ROUTES:
        published = re.sub(r"_(\w)", lambda letter: letter[1].upper(), path)
        for method in handler.operations:
            assert re.search(rf"{method}\s+{re.escape(published)}(\s|$)", shown), (method, path)
