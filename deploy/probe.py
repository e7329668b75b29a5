"""The container's health check: does the web server of this container answer /health?"""

import http.client
import os
import sys

names = [name.strip().lstrip(".") for name in os.environ.get("ALLOWED_HOSTS", "").split(",")]
host = next((name for name in names if name and name != "*"), "localhost")
connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=4)
try:
    connection.request("GET", "/health", headers={"Host": host})
    sys.exit(connection.getresponse().status != http.HTTPStatus.OK)
except OSError as error:
    sys.exit(str(error))
