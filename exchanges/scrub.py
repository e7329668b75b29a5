"""The last net: takes signatures, keys and query strings out of every log line."""

import logging
import re

SECRETS = re.compile(
    r"(?i)((?:signature|api[-_]?key|apisecret|secret|passphrase|x-mbx-apikey|authorization)[\"']?\s*[=:]\s*[\"']?)"
    r"(?:bearer\s+)?[^\s&\"',}]+"
)
URL_QUERY = re.compile(r"(https?://[^\s?\"']+)\?[^\s\"']*")
TOKENS = re.compile(r"\btb_([A-Za-z0-9]{8})_[A-Za-z0-9_-]{8,}")


def scrub(text: str) -> str:
    text = URL_QUERY.sub(r"\1?…", text)
    text = TOKENS.sub(r"tb_\1_…", text)
    return SECRETS.sub(r"\1…", text)


class ScrubFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = scrub(record.getMessage()), None
        return True
