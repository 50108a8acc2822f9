"""Stands in for curl where a machine has none, for the flags that README.md's walk uses."""

import argparse
import sys
import urllib.request

options = argparse.ArgumentParser()
options.add_argument("-s", action="store_true")
options.add_argument("-f", action="store_true")
options.add_argument("-X", dest="method")
options.add_argument("-H", dest="headers", action="append", default=[])
options.add_argument("-d", dest="body")
options.add_argument("url")
asked = options.parse_args()

request = urllib.request.Request(  # noqa: S310 (the walk's own addresses)
    asked.url,
    data=asked.body.encode() if asked.body else None,
    headers=dict(header.split(": ", 1) for header in asked.headers),
    method=asked.method,
)
with urllib.request.urlopen(request) as answer:  # noqa: S310
    sys.stdout.buffer.write(answer.read())
