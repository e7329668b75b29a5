"""A caller of the JSON API, and what every failure of it has to look like."""

import json
from typing import Any

from django.test import Client
from django.utils import timezone

from accounts import audit, operations
from accounts.models import SCOPES, User


class ApiClient:
    """Speaks with a token of these scopes (all but admin unless told otherwise), or with none."""

    def __init__(self, user: User | None = None, *scopes: str, token: str = "") -> None:
        self.client = Client(raise_request_exception=False)
        if user is not None:
            wanted = scopes or [scope for scope in SCOPES if scope != "admin"]
            _, token = operations.create_token(user, wanted, timezone.now(), audit.CONSOLE)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        given = body if isinstance(body, bytes | str) else json.dumps(body) if body is not None else ""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.generic(
            method, path, given, content_type="application/json", headers={**self.headers, **named}
        )

    def get(self, path: str, **headers: str) -> Any:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("POST", path, body, **headers)

    def put(self, path: str, body: Any = None) -> Any:
        return self.call("PUT", path, body)

    def delete(self, path: str) -> Any:
        return self.call("DELETE", path)


def problem(response: Any, status: int, code: str = "") -> dict[str, Any]:
    """The problem document, after checking all that every one of them has."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert {"type", "title", "status", "detail", "code", "request_id"} <= document.keys()
    assert document["status"] == status
    assert document["request_id"] == response["X-Request-ID"]
    assert document["detail"]
    assert ("errors" in document) == (status == 422)
    if code:
        assert document["code"] == code, document
    return document


def fields(document: dict[str, Any]) -> list[str]:
    """The places of a 422's errors, dotted."""
    return [".".join(map(str, error["loc"])) for error in document["errors"]]
