"""What the OpenAPI document says beyond what django-ninja reads from the endpoints: scopes, problems, idempotency."""

from collections.abc import Mapping
from typing import Any

PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "The stable word to program against."},
        "request_id": {"type": "string", "description": "As in X-Request-ID and in the server's log."},
        "errors": {
            "type": "array",
            "description": "With 422: each wrong field, its place first.",
            "items": {
                "type": "object",
                "required": ["loc", "detail"],
                "properties": {
                    "loc": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}},
                    "detail": {"type": "string"},
                    "type": {"type": "string"},
                },
            },
        },
    },
}
WORDS = {
    "401": "No token, or not a valid one",
    "403": "The token lacks the scope, or this is not permitted",
    "404": "There is no such object for this caller",
    "409": "The state does not allow it",
    "413": "The body is too large",
    "422": "A parameter or field is wrong; errors names it",
    "429": "Too many writes; Retry-After says when to go on",
    "500": "A failure here; the log has the request_id",
    "503": "An outside service is away; Retry-After says when to ask again",
}
IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": False,
    "description": "Any text of up to 255 characters; the same request with it gets the first answer for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


def documented(document: Any, scopes: Mapping[str, str]) -> Any:
    """``scopes``: operation id → what its token must be allowed to do; absent for what anybody may call."""
    document["components"]["schemas"]["Problem"] = PROBLEM
    document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            _complete(path, method, operation, scopes.get(operation["operationId"], ""))
    return document


def _complete(path: str, method: str, operation: dict[str, Any], scope: str) -> None:
    if method == "post":
        operation["parameters"] = [*operation["parameters"], IDEMPOTENCY_KEY]
    statuses = {"422", "500", "503"}
    if scope:
        operation["security"] = [{"token": []}]
        operation["description"] += f"\n\nScope: `{scope}`."
        statuses |= {"401", "403"}
    if "{" in path or "trades" in path:
        statuses.add("404")
    if method != "get":
        statuses |= {"404", "409", "413", "429"}
    said = {str(status) for status in operation["responses"]}
    for status in sorted(statuses - said):
        operation["responses"][status] = {
            "description": WORDS[status],
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
