"""The description of /api, made from the same types that check the requests.

Runs on: the decorator at import; the document on the event loop, once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec

import toru
from toru.web.base import ApiHandler, Problem, Route, Success

F = TypeVar("F", bound=Callable[..., Any])

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")
REF_TEMPLATE = "#/components/schemas/{name}"

_PARAMETER = re.compile(r"\{(\w+)(?::(\w+))?\}")


class Operation(msgspec.Struct, frozen=True):
    """What one method of one path takes and answers.

    Attributes:
        summary: a short sentence.
        answer: the type of the answer; ``bytes`` is a body that is not JSON, None is no body.
        body: the Struct of the JSON body, if any.
        query: the Struct of the query, if any.
        errors: the statuses that it may refuse with, besides those that its role implies.
        status: the status of success.
    """

    summary: str
    answer: Any = Success
    body: type[msgspec.Struct] | None = None
    query: type[msgspec.Struct] | None = None
    errors: tuple[int, ...] = ()
    status: int = 200


def operation(
    *,
    summary: str,
    answer: Any = Success,
    body: type[msgspec.Struct] | None = None,
    query: type[msgspec.Struct] | None = None,
    errors: tuple[int, ...] = (),
    status: int = 200,
) -> Callable[[F], F]:
    """Describe a handler's method; see `Operation` for the parts.

    Raises:
        TypeError: a body or query type lets unknown fields pass.
    """
    for kind in (body, query):
        if kind is not None and not kind.__struct_config__.forbid_unknown_fields:
            raise TypeError(f"{kind.__name__} must forbid unknown fields.")
    described = Operation(summary, answer, body, query, errors, status)

    def mark(method: F) -> F:
        method.__operation__ = described  # type: ignore[attr-defined]  # read by operation_of
        return method

    return mark


def operation_of(handler: type[ApiHandler], method: str) -> Operation | None:
    """Return the description of a handler's method, if it has one."""
    return getattr(getattr(handler, method.lower(), None), "__operation__", None)


def describe(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the routes.

    Raises:
        LookupError: a method that a handler declares has no `operation`.
    """
    declared = [
        (route, method, _declared_operation(route, method))
        for route in routes
        for method in METHODS
        if method in route.handler.roles
    ]
    types = list(_types(operation for _, _, operation in declared))
    schemas, components = msgspec.json.schema_components(types, ref_template=REF_TEMPLATE)
    for schema in components.values():
        _shorten(schema)
    by_type = dict(zip(map(id, types), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route, method, described in declared:
        path = _PARAMETER.sub(r"{\1}", route.path)
        entry = _operation(route, method, described, by_type, components)
        paths.setdefault(path, {})[method.lower()] = entry
    return {
        "openapi": "3.1.0",
        "info": {"title": "Toru", "version": toru.__version__},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": "session_id"}
            },
        },
    }


def _shorten(schema: dict[str, Any]) -> None:
    """Keep the first sentence of a docstring; the rest is for readers of the code."""
    if "description" in schema:
        schema["description"] = schema["description"].partition("\n\n")[0]


def _declared_operation(route: Route, method: str) -> Operation:
    described = operation_of(route.handler, method)
    if described is None:
        raise LookupError(f"{method} {route.path} is not described by @operation.")
    return described


def _types(operations: Iterable[Operation]) -> Iterable[Any]:
    seen: dict[int, Any] = {id(Problem): Problem}
    for described in operations:
        for kind in (described.answer, described.body, described.query):
            if kind is not None and kind is not bytes:
                seen[id(kind)] = kind
    return seen.values()


def _operation(
    route: Route,
    method: str,
    described: Operation,
    by_type: dict[int, Any],
    components: dict[str, Any],
) -> dict[str, Any]:
    access = route.handler.roles[method]
    entry: dict[str, Any] = {
        "operationId": _operation_id(route, method),
        "summary": described.summary,
        "parameters": _path_parameters(route) + _query_parameters(described, components),
        "responses": _responses(described, access, by_type),
        "security": [] if access == "anon" else [{"session": []}],
        "x-role": access,
    }
    if described.body is not None:
        content = {"application/json": {"schema": by_type[id(described.body)]}}
        entry["requestBody"] = {"required": True, "content": content}
    return entry


def _operation_id(route: Route, method: str) -> str:
    words = re.findall(r"\w+", _PARAMETER.sub(r"\1", route.path.removeprefix("/api")))
    return "_".join([method.lower(), *words])


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "integer" if kind == "int" else "string"},
        }
        for name, kind in _PARAMETER.findall(route.path)
    ]


def _query_parameters(described: Operation, components: dict[str, Any]) -> list[dict[str, Any]]:
    if described.query is None:
        return []
    schema = components[described.query.__name__]
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": field}
        for name, field in schema["properties"].items()
    ]


def _responses(described: Operation, access: str, by_type: dict[int, Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {str(described.status): _success(described, by_type)}
    statuses = {*described.errors, 503}
    if described.body is not None or described.query is not None:
        statuses.add(400)
    if access != "anon":
        statuses.add(401)
    if access == "admin":
        statuses.add(403)
    problem = {"application/json": {"schema": by_type[id(Problem)]}}
    for status in sorted(statuses):
        responses[str(status)] = {"description": HTTPStatus(status).phrase, "content": problem}
    return responses


def _success(described: Operation, by_type: dict[int, Any]) -> dict[str, Any]:
    if described.answer is None:
        return {"description": HTTPStatus(described.status).phrase}
    if described.answer is bytes:
        content: dict[str, Any] = {"application/octet-stream": {}}
    else:
        content = {"application/json": {"schema": by_type[id(described.answer)]}}
    return {"description": "Done.", "content": content}
