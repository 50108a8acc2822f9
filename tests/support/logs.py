"""What a logger of the service writes."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def written_by(logger: str, formatter: type[logging.Formatter]) -> Iterator[io.StringIO]:
    """Give what the logger's own handler writes within the block.

    `formatter` tells that handler from those that pytest adds.
    """
    [handler] = [
        handler
        for handler in logging.getLogger(logger).handlers
        if isinstance(handler.formatter, formatter)
    ]
    written = io.StringIO()
    before = handler.setStream(written)
    try:
        yield written
    finally:
        handler.setStream(before)
