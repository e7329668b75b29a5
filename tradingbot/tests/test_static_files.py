"""Static files as the web server asks for them."""

import asyncio

from asgiref.testing import ApplicationCommunicator

from tradingbot.asgi import application
from tradingbot.tests.places import PROJECT

PATH = "css/layout.css"
CONTENT = (PROJECT / "static" / PATH).read_bytes()


def asked(method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """One request through ASGI; a warning on the way fails the test."""
    named = [
        (name.replace("_", "-").encode(), value.encode()) for name, value in {"host": "localhost", **headers}.items()
    ]
    scope = {"type": "http", "method": method, "path": f"/static/{PATH}", "query_string": b"", "headers": named}

    async def answer() -> list[dict]:
        there = ApplicationCommunicator(application, scope)
        await there.send_input({"type": "http.request", "body": b"", "more_body": False})
        parts = [await there.receive_output(10)]
        while len(parts) < 2 or parts[-1].get("more_body"):
            parts.append(await there.receive_output(10))
        await there.wait()
        return parts

    start, *bodies = asyncio.run(answer())
    told = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return start["status"], told, b"".join(body["body"] for body in bodies)


def test_a_file_comes_whole_with_its_type_and_no_word_of_a_stream():
    status, headers, content = asked()
    assert (status, content) == (200, CONTENT)
    assert headers["content-type"].startswith("text/css")
    assert headers["content-length"] == str(len(CONTENT))
    assert "max-age" in headers["cache-control"]
    assert headers["content-security-policy"]


def test_a_part_of_a_file_is_that_part():
    status, headers, content = asked(range="bytes=10-19")
    assert (status, content) == (206, CONTENT[10:20])
    assert headers["content-range"] == f"bytes 10-19/{len(CONTENT)}"


def test_a_known_file_and_a_question_for_its_headers_come_without_content():
    status, headers, content = asked("HEAD")
    assert (status, headers["content-length"], content) == (200, str(len(CONTENT)), b"")
    status, _, content = asked(if_modified_since=headers["last-modified"])
    assert (status, content) == (304, b"")
