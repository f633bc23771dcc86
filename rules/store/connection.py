"""Connections whose JSON columns are written and read by orjson, whatever the database."""

from typing import Any

import orjson
from sqlalchemy import URL, Engine, create_engine

from rules.store import words


def engine(url: URL, **more: Any) -> Engine:
    return create_engine(
        url,
        json_serializer=words.content,
        json_deserializer=orjson.loads,
        **more,
    )
