"""How the fields of option dataclasses look as flags: what stands for their values, and their help.

The dataclasses belong to `pipelines` and `training`, which know nothing of a command line.
"""

import ast
import dataclasses
import inspect
import itertools
import textwrap
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from tyro.conf import arg
from tyro.constructors import (
    MISSING,
    ConstructorRegistry,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

# What stands for a value: by the name of the field, else by its type.
_BY_NAME = {
    "action_frame": "FRAME",
    "action_scale": "SCALE",
    "citation": "BIBTEX",
    "homepage": "URL",
    "hz": "HZ",
    "images": "CAMERA=NAME ...",
    "leave_out": "KEY ...",
    "license": "NAME",
    "map": "TARGET=SOURCE ...",
    "mapping": "FILE",
    "observations": "KEY ...",
    "robot": "NAME",
    "robot_type": "NAME",
    "state": "NAME ...",
    "target_bounds": "LOW HIGH",
    "task": "NAME",
}
_BY_TYPE = {str: "TEXT", Path: "PATH", int: "INT", float: "FLOAT"}

OPTION_FLAGS = ConstructorRegistry()


@OPTION_FLAGS.struct_rule
def _dataclass(info: StructTypeInfo) -> StructConstructorSpec | None:
    cls = info.type
    if not (inspect.isclass(cls) and dataclasses.is_dataclass(cls)):
        return None
    types, texts = get_type_hints(cls, include_extras=True), field_texts(cls)
    given = info.default if isinstance(info.default, cls) else None
    return StructConstructorSpec(
        instantiate=cls,
        fields=tuple(
            StructFieldSpec(
                field.name,
                _with_metavar(field.name, types[field.name]),
                _default(field) if given is None else getattr(given, field.name),
                texts.get(field.name, ""),
            )
            for field in dataclasses.fields(cls)
            if field.init
        ),
    )


def field_texts(cls: type) -> dict[str, str]:
    """What the texts below the fields of a dataclass say, each without its line breaks."""
    texts = {}
    for base in filter(dataclasses.is_dataclass, reversed(cls.__mro__)):
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(definition, ast.ClassDef)
        for field, below in itertools.pairwise(definition.body):
            match field, below:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    texts[name] = " ".join(text.split())
    return texts


def _with_metavar(name: str, kind: Any) -> Any:
    alternatives = [one for one in get_args(kind) if one not in (type(None), ...)]
    optional = type(None) in get_args(kind)
    if get_origin(kind) is Literal or (optional and len(alternatives) > 1):
        return kind
    inner = alternatives[0] if len(alternatives) == 1 else kind
    metavar = _BY_NAME.get(name, _BY_TYPE.get(inner))
    if metavar is None:
        return kind
    repeated = get_origin(kind) is tuple and not metavar.endswith("...")
    return Annotated[kind, arg(metavar=f"{metavar} ..." if repeated else metavar)]


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return MISSING if field.default is dataclasses.MISSING else field.default
