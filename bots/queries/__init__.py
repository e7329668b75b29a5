"""Reads for pages, API, admin and commands: frozen dataclasses whose field names are the API's."""
