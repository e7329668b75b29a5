"""The last net: takes signatures, keys and query strings out of every log line and traceback."""

import logging
import re

SECRETS = re.compile(
    r"(?i)((?:signature|api[-_]?(?:key|secret)|secret(?:key)?|passphrase|password|x-mbx-apikey|"
    r"(?:ok|kc)-access-(?:key|sign|passphrase)|kc-api-(?:key|sign|passphrase)|x-bapi-(?:api-key|sign)|api-sign|"
    r"authorization)[\"']?\s*[=:]\s*[\"']?)(?:bearer\s+)?[^\s&\"',}]+"
)
URL_QUERY = re.compile(r"(https?://[^\s?\"']+)\?[^\s\"']*")
TOKENS = re.compile(r"\btb_([A-Za-z0-9]{8})_[A-Za-z0-9_-]{8,}")
_TRACEBACKS = logging.Formatter()


def scrub(text: str) -> str:
    text = URL_QUERY.sub(r"\1?…", text)
    text = TOKENS.sub(r"tb_\1_…", text)
    return SECRETS.sub(r"\1…", text)


class ScrubFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        try:
            text = record.getMessage()
        except (TypeError, ValueError, KeyError):
            # Arguments that do not fit their message must not stop whoever logs.
            text = f"{record.msg} {record.args!r}"
        record.msg, record.args = scrub(text), None
        if record.exc_info:
            # The formatter takes a traceback that is already there for its own.
            record.exc_text = scrub(_TRACEBACKS.formatException(record.exc_info))
        return True
