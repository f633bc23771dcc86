"""A model: one product of a kind, and how the kind's channels are read from it.

One TOML file per product in this folder or in a folder of the user's; the file's stem is the model's name. The
agent reads by it, the simulator answers by it. What data can't say does not belong here.
"""

import re
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import Field, RootModel

from edge.models.frame import FrameModel
from edge.models.gpio import GpioModel
from edge.models.hj212 import Hj212Model
from edge.models.lorawan import LorawanModel
from edge.models.message import JsonModel
from edge.models.modbus import ModbusModel
from edge.models.osdp import OsdpModel
from edge.models.zigbee import ZigbeeModel
from messages.announcement import OWN_MODEL
from messages.kind import Kinds
from messages.language import phrase
from messages.settings import ConfigError, mistake, text_of, understood
from messages.suggestion import suggest

NAME = r"\w[\w.-]{0,79}"
"""Of a model, and of its file. "gridcall" is what Gridcall calls its own parts, which pages don't count as sensors."""

SHIPPED = Path(str(files("edge"))) / "models"

Model = ModbusModel | JsonModel | ZigbeeModel | LorawanModel | OsdpModel | FrameModel | Hj212Model | GpioModel


class _Product(RootModel[Annotated[Model, Field(discriminator="protocol")]]):
    pass


def load_models(kinds: Kinds, *folders: Path) -> dict[str, Model]:
    """All models in the shipped folder and then in `folders`, each checked against its kind.

    Raises ConfigError that names file, line and field.
    """
    models: dict[str, Model] = {}
    for folder in (SHIPPED, *folders):
        if not folder.is_dir():
            raise ConfigError("{folder}: no such folder of {field}", folder=folder, field="models")
        for path in sorted(folder.glob("*.toml")):
            if path.stem == OWN_MODEL or not re.fullmatch(NAME, path.stem):
                raise ConfigError(
                    "{path}: a model's name is its file's: letters, digits and ._- are wanted, and not {own}",
                    path=path,
                    own=OWN_MODEL,
                )
            source = text_of(path)
            models[path.stem] = _checked(
                understood(path, source, _Product).root.located(path.parent), kinds, path, source
            )
    return models


def _checked(model: Model, kinds: Kinds, path: Path, source: str) -> Model:
    if (kind := kinds.get(model.kind)) is None:
        unknown = phrase("no kind `{kind}`{near}", kind=model.kind, near=suggest(model.kind, kinds))
        raise mistake(path, source, ("kind",), unknown)
    for where, complaint in model.mistakes(kind):
        raise mistake(path, source, where, complaint)
    return model
