"""A dialect's OpenAPI 3.1 document, from the rows of its table."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from tapeline import __version__
from tapeline.api.dialect import Dialect, Operation

JSON = "application/json"
SCHEMAS = "#/components/schemas/"
_PARAMETER = re.compile(r"\{(\w+)\}")


def describe(dialect: Dialect) -> dict[str, Any]:
    """Paths carry the prefix, so that the document stands alone."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in dialect.operations:
        path = paths.setdefault(dialect.prefix + operation.path, {})
        path[operation.method.lower()] = _operation(operation, dialect)
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": f"tapeline: {dialect.title}", "version": __version__},
        "paths": paths,
    }
    if dialect.security:
        document["components"] = {"securitySchemes": dict(dialect.security)}
        document["security"] = [{name: [] for name in dialect.security}]
    return _hoist(document)


def _hoist(document: dict[str, Any]) -> dict[str, Any]:
    """Schemas' own `$defs` become the document's: a reference counts from the document's root."""
    hoisted: dict[str, Any] = {}

    def walk(node: Any) -> Any:
        if isinstance(node, list):
            return [walk(item) for item in node]
        if not isinstance(node, Mapping):
            return node
        for name, schema in node.get("$defs", {}).items():
            hoisted[name] = walk(schema)
        found = {key: walk(value) for key, value in node.items() if key != "$defs"}
        reference = found.get("$ref")
        if isinstance(reference, str):
            found["$ref"] = reference.replace("#/$defs/", SCHEMAS)
        return found

    walked: dict[str, Any] = walk(document)
    if hoisted:
        walked.setdefault("components", {})["schemas"] = hoisted
    return walked


def _operation(operation: Operation, dialect: Dialect) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": [*_path_parameters(operation), *_query_parameters(operation)],
        "responses": {
            str(status): _text(status)
            if status in operation.text_errors
            else _response(status, schema)
            for status, schema in {**dialect.error_responses, **operation.responses}.items()
        },
    }
    if operation.request_schema is not None:
        schema = dict(operation.request_schema)
        found["requestBody"] = {
            "required": bool(schema.get("required")),
            "content": {kind: {"schema": schema} for kind in operation.request_types},
        }
    return found


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1},
        }
        for name in _PARAMETER.findall(operation.path)
    ]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "required": False, "schema": dict(schema)}
        for name, schema in operation.query.items()
    ]


def _response(status: int, schema: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if schema:
        found["content"] = {JSON: {"schema": dict(schema)}}
    return found


def _text(status: int) -> dict[str, Any]:
    return {
        "description": HTTPStatus(status).phrase,
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
