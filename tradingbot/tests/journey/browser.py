"""A browser without JavaScript: it opens pages, fills in their forms as they are, and keeps its cookies."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

from django.http import HttpResponse
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
        self.page = ""

    def open(self, path: str) -> str:
        response = self.client.get(path, follow=True)
        assert response.status_code == 200, f"{path} answered {response.status_code}"
        self.page = response.content.decode()
        return self.page

    def fill(self, path: str, values: Mapping[str, str], *, expected: int = 302) -> HttpResponse:
        """Open the page, fill in the form that has all these fields, send it."""
        self.open(path)
        form = self.form(values)
        response = self.client.post(form.action or path, {**form.fields, **values}, headers={"Referer": path})
        text = response.content.decode()
        assert response.status_code == expected, f"{path} answered {response.status_code}: {text[-4000:]}"
        self.page = text
        return response

    def form(self, values: Mapping[str, str]) -> Form:
        forms = _Forms()
        forms.feed(self.page)
        fitting = [form for form in forms.found if set(values) <= form.names]
        assert fitting, f"No form has {sorted(values)}; there are {[sorted(form.names) for form in forms.found]}"
        return fitting[0]
