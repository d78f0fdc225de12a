"""Reads requests, one JSON text a line (itself a JSON string), and says how a Python server takes each of them."""
import json
import posixpath
import sys
from urllib.parse import unquote, urlsplit


def path_of(uri):
    if not isinstance(uri, str):
        return []
    try:
        parts = urlsplit(uri)
    except ValueError:
        return []
    return [posixpath.normpath(unquote(parts.path))] if parts.scheme == "file" and parts.path else []


def member(value, key):
    return value.get(key) if isinstance(value, dict) else None


def text_of(value):
    return value if isinstance(value, str) else None


for line in sys.stdin:
    try:
        message = json.loads(json.loads(line))
    except (ValueError, RecursionError):
        print("null")
        continue
    params = member(message, "params")
    ref = member(params, "ref")
    uri = member(params, "uri")
    name = member(params, "name")
    print(json.dumps({
        "method": text_of(member(message, "method")),
        "target": text_of(name if name is not None else member(ref, "name")),
        "paths": path_of(uri if uri is not None else member(ref, "uri")),
    }))
