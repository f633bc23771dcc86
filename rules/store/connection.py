"""Connections whose JSON columns are written and read by orjson, whatever the database."""

from typing import Any

import orjson
from sqlalchemy import URL, Engine, create_engine


def engine(url: URL, **more: Any) -> Engine:
    return create_engine(
        url,
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
        **more,
    )
