"""A browser without JavaScript: it opens pages, fills in their forms as they are, and keeps its cookies."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from django.test import Client


@dataclass(slots=True)
class Form:
    action: str
    fields: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)


class _Forms(HTMLParser):
    """The POST forms of a page with what a browser would send for each."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._open: Form | None = None
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = Form(given.get("action", ""))
            if given.get("method", "").lower() == "post":
                self.found.append(self._open)
        elif self._open is not None:
            self._control(self._open, tag, given)

    def _control(self, form: Form, tag: str, given: Mapping[str, str]) -> None:
        name = self._select if tag == "option" else given.get("name", "")
        if tag == "select":
            self._select = name
        if not name or tag not in {"input", "select", "option", "textarea", "button"}:
            return
        form.names.add(name)
        ticked = given.get("type") not in {"radio", "checkbox"} or "checked" in given
        chosen = tag == "option" and ("selected" in given or name not in form.fields)
        if chosen or (tag == "input" and ticked and given.get("type") != "submit"):
            form.fields[name] = given.get("value", "on" if given.get("type") == "checkbox" else "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None
        elif tag == "select":
            self._select = ""


class Browser:
    """Sends no form that the page did not offer, and no field that the form does not have."""

    def __init__(self) -> None:
        self.client = Client(enforce_csrf_checks=True)
        self.url = self.page = ""

    def open(self, path: str) -> str:
        """Wherever that leads: redirects are followed, as by every browser."""
        response = self.client.get(path, follow=True)
        assert response.status_code == 200, f"{path} answered {response.status_code}"
        return self._arrive(response)

    def fill(self, path: str, values: Mapping[str, str]) -> str:
        """Open a page, fill in its form, send it; the address that it leads to."""
        self.open(path)
        return self.send(values)

    def send(self, values: Mapping[str, str]) -> str:
        """Fill in the form of the present page that has all these fields, and send it; it must be accepted."""
        response = self.post(values)
        assert response.redirect_chain, f"{self.url} refused {sorted(values)}: {errors_on(self.page)}"
        return self.url

    def post(self, values: Mapping[str, str]) -> Any:
        form = self._form(values)
        response = self.client.post(form.action or self.url, {**form.fields, **values}, follow=True)
        self._arrive(response)
        return response

    def _form(self, values: Mapping[str, str]) -> Form:
        forms = _Forms()
        forms.feed(self.page)
        fitting = [form for form in forms.found if set(values) <= form.names]
        assert fitting, f"{self.url}: no form has {sorted(values)}, only {[sorted(form.names) for form in forms.found]}"
        return fitting[0]

    def _arrive(self, response: Any) -> str:
        self.url = response.request["PATH_INFO"]
        if query := response.request.get("QUERY_STRING"):
            self.url += f"?{query}"
        self.page = response.content.decode()
        return self.page


def errors_on(page: str) -> list[str]:
    """What a page complains of, for the message of a failed test."""
    found = re.findall(r'<(\w+)[^>]*class="[^"]*error[^"]*"[^>]*>(.*?)</\1>', page, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", text).split()) for _, text in found] or [page[-1500:]]
