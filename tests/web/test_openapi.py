"""The description of the API: whole, well-formed, and true.

Runs on: the test's thread, against a real hub for what is served.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.hub import HubProcess
from toru.web.app import collect_routes, pattern_of
from toru.web.base import Route, UnknownPath
from toru.web.openapi import METHODS, describe

METHOD_NAMES = {method.lower() for method in METHODS}


@pytest.fixture(scope="module")
def document(hub: HubProcess) -> dict[str, Any]:
    """Return the document as a hub serves it, to anybody."""
    served: dict[str, Any] = hub.get("/api/openapi.json", cookie="")
    return served


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            yield path, method, described


def test_every_method_of_every_route_is_described_and_nothing_else(
    document: dict[str, Any],
) -> None:
    live = {
        (re.sub(r":\w+\}", "}", route.path), method.lower())
        for route in collect_routes()
        for method in route.handler.roles
    }
    assert {(path, method) for path, method, _ in operations(document)} == live


def test_the_document_has_the_shape_of_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert {"title", "version"} <= set(document["info"])
    ids = [described["operationId"] for _, _, described in operations(document)]
    assert len(ids) == len(set(ids))
    for path, method, described in operations(document):
        assert path.startswith("/")
        assert method in METHOD_NAMES
        assert described["summary"]
        declared = {each["name"] for each in described["parameters"] if each["in"] == "path"}
        assert declared == set(re.findall(r"\{(\w+)\}", path))
        for parameter in described["parameters"]:
            assert parameter["in"] in {"path", "query"}
            assert isinstance(parameter["required"], bool)
            assert isinstance(parameter["schema"], dict)
        assert described["responses"]
        for status, response in described["responses"].items():
            assert re.fullmatch(r"[1-5][0-9][0-9]", status)
            assert response["description"]
        if "requestBody" in described:
            assert described["requestBody"]["content"]["application/json"]["schema"]


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for inner in value.values():
                yield from references(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from references(inner)

    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    found = set(references(document))
    assert found
    assert found <= known


def test_a_role_shows_in_the_security_and_the_refusals(document: dict[str, Any]) -> None:
    roles = {
        (re.sub(r":\w+\}", "}", route.path), method.lower()): role
        for route in collect_routes()
        for method, role in route.handler.roles.items()
    }
    for path, method, described in operations(document):
        role = roles[path, method]
        assert described["x-role"] == role
        assert bool(described["security"]) == (role != "anon")
        assert ("401" in described["responses"]) >= (role != "anon")
        assert ("403" in described["responses"]) >= (role == "admin")


def test_what_is_answered_is_what_is_described(hub: HubProcess, document: dict[str, Any]) -> None:
    user = hub.http("POST", "/api/users", {"username": "anna", "password": "Client-pass-1"}).json
    for path, value in {
        "/api/auth/me": hub.get("/api/auth/me"),
        "/api/health": hub.get("/api/health"),
        "/api/users/{user_id}": hub.get(f"/api/users/{user['id']}"),
    }.items():
        described = document["paths"][path]["get"]["responses"]["200"]["content"]
        name = described["application/json"]["schema"]["$ref"].rpartition("/")[2]
        assert set(value) == set(document["components"]["schemas"][name]["properties"])


def test_a_method_without_a_description_is_a_mistake_of_the_program() -> None:
    class Silent(UnknownPath):
        roles = {"GET": "anon"}  # noqa: RUF012 - as short as can be

    with pytest.raises(LookupError, match="GET /api/silent"):
        describe([Route("/api/silent", Silent)])


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("/api/a.json", "/api/a.json", {}),
        ("/api/a.json", "/api/axjson", None),
        ("/api/users/{user_id:int}", "/api/users/12", {"user_id": "12"}),
        ("/api/users/{user_id:int}", "/api/users/x", None),
        ("/api/settings/{key}", "/api/settings/a", {"key": "a"}),
        ("/api/settings/{key}", "/api/settings/a/b", None),
        ("/api/p/{name}/{rest:path}", "/api/p/x/a/b", {"name": "x", "rest": "a/b"}),
    ],
)
def test_a_template_matches_whole_paths_only(
    template: str, path: str, values: dict[str, str] | None
) -> None:
    found = re.match(pattern_of(template), path)
    assert (found.groupdict() if found else None) == values
