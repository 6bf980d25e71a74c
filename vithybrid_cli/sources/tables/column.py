"""Which column of a table has the pictures, and which has the labels."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vithybrid_cli.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

_PICTURES = frozenset(  # what tables call their pictures, in lower case
    f"{what}{of}"
    for what in ("image", "img", "picture", "pic", "photo")
    for of in ("", "s", "_bytes", "_data", "_content", "_file", "_path", "_url", "_uri", "_filename", "_file_name")
) | frozenset({"jpg", "jpeg", "png", "webp", "bytes", "content", "data", "pixels"})
_PLACES = frozenset(  # what they call where pictures are
    {"path", "file", "filename", "file_name", "filepath", "file_path", "uri", "url", "image_link"}
)
_LABELS = frozenset({"label", "labels", "class", "class_label", "category", "target", "fine_label", "y", "cls"})
_SHOWN = 20  # columns in a message


@dataclass(frozen=True, slots=True)
class Column:
    """A column, or what is nested in it: ``name``, and from there on ``steps`` into structs."""

    name: str
    steps: tuple[str, ...] = ()

    @property
    def dotted(self) -> str:
        """As `--column` and pyarrow have it."""
        return ".".join((self.name, *self.steps))

    def of(self, batch: "pa.RecordBatch") -> "pa.Array":
        """Its values in a batch that was read of this column."""
        import pyarrow.compute as pc

        array = batch.column(batch.schema.names.index(self.name))
        for step in self.steps:
            array = pc.struct_field(array, [step])
        return array

    def has_lists(self, schema: "pa.Schema") -> bool:
        """Whether its values are lists, in a table of this ``schema``."""
        kind = _nested(schema.field(schema.names.index(self.name)).type, self.steps)
        return kind is not None and _is_list(kind)


def picture_column(schema: "pa.Schema", wanted: str | None, table: str) -> Column:
    """The column that has the pictures: the one that is ``wanted``, or the only one that may have them.

    Those are the columns that Hugging Face's metadata call pictures; else those of type ``struct<bytes, path>``; else
    bytes, and text of which the name says that it leads to a picture. Of several those that are called like pictures
    come first. Raises UsageError where that is none or several, and for columns of other types; ``table`` is its name.
    """
    if wanted is not None:
        column, kind = _named(schema, wanted, table)
        if not holds_pictures(kind):
            cause = f"The column {wanted} of {table} is {_type(kind)}, which holds no pictures."
            raise UsageError(cause, "Name a column of bytes, of paths or of addresses with {column}.")
        return column
    found = _candidates(schema)
    if len(found) == 1:
        return found[0]
    columns = _listed(schema)
    if not found:
        raise UsageError(f"{table} has no column that is known to hold pictures: {columns}.", "Name it with {column}.")
    several = " and ".join(column.dotted for column in found)
    cause = f"{table} has more than one column that may hold the pictures, {several}: {columns}."
    raise UsageError(cause, "Name the one to read with {column}.")


def holds_embedded_pictures(schema: "pa.Schema") -> bool:
    """Whether a column is known to hold pictures themselves, not paths: by its metadata or its type."""
    fields = list(schema)
    marked = set(_features(schema, "Image"))
    if any(field.name in marked for field in fields) or any(_is_struct(_content(field.type)) for field in fields):
        return True
    return any(_is_bytes(_content(field.type)) and field.name.lower() in _PICTURES for field in fields)


@dataclass(frozen=True, slots=True)
class LabelColumn:
    """A column of labels, with the ``names`` of its classes where the table has them."""

    column: Column
    names: tuple[str, ...]


def label_column(schema: "pa.Schema", wanted: str | None, table: str) -> LabelColumn:
    """The column that has the labels: the one that is ``wanted``, Hugging Face's ClassLabel, or one that is called so.

    Its type is an integer or text. Raises UsageError where that is none or several.
    """
    classes = _features(schema, "ClassLabel")
    if wanted is None:
        of_type = [Column(field.name) for field in schema if _is_label(field.type)]
        found = [column for column in of_type if column.name in classes]
        found = found or [column for column in of_type if column.name.lower() in _LABELS]
        if len(found) != 1:
            what = "more than one column of labels" if found else "no column that is known to hold labels"
            raise UsageError(f"{table} has {what}: {_listed(schema)}.", "Name the column of labels.")
        column = found[0]
    else:
        column, kind = _named(schema, wanted, table)
        if not _is_label(kind):
            cause = f"The column {wanted} of {table} is {_type(kind)}, which holds no labels."
            raise UsageError(cause, "Name a column of text or of integers.")
    names = classes.get(column.dotted, {}).get("names")
    return LabelColumn(column, tuple(map(str, names)) if isinstance(names, list) else ())


def holds_pictures(kind: "pa.DataType") -> bool:
    """Whether pictures may be read from values of this type."""
    kind = _content(kind)
    return _is_bytes(kind) or _is_text(kind) or _is_struct(kind)


def _candidates(schema: "pa.Schema") -> list[Column]:
    """The columns that may have the pictures: the first kind of which there are any."""
    marked = set(_features(schema, "Image"))
    kinds: tuple[Callable[[pa.Field], bool], ...] = (
        lambda field: field.name in marked and holds_pictures(field.type),
        lambda field: _is_struct(_content(field.type)),
        lambda field: _is_bytes(_content(field.type)) and field.name.lower() in _PICTURES,
        lambda field: _is_text(_content(field.type)) and field.name.lower() in _PICTURES | _PLACES,
        lambda field: _is_bytes(_content(field.type)),
    )
    for is_one in kinds:
        if found := [field.name for field in schema if is_one(field)]:
            called = [name for name in found if name.lower() in _PICTURES]
            return [Column(name) for name in (called if len(called) == 1 else found)]
    return []


def _features(schema: "pa.Schema", kind: str) -> dict[str, dict[str, Any]]:
    """What Hugging Face's metadata say of the columns of this kind, by name; lists of them count too.

    ``{"info": {"features": {"image": {"_type": "Image"}, "label": {"names": […], "_type": "ClassLabel"}}}}``, as
    `datasets` 4 writes it; a list is ``{"feature": {…}, "_type": "List"}``, or the description in brackets.
    """
    try:
        described = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = described["info"]["features"].items()
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}
    found = ((name, _innermost(feature)) for name, feature in features)
    return {name: feature for name, feature in found if feature.get("_type") == kind}


def _innermost(feature: Any) -> dict[str, Any]:
    """The description of what lists hold."""
    while True:
        if isinstance(feature, list) and len(feature) == 1:
            feature = feature[0]
        elif isinstance(feature, dict) and isinstance(feature.get("feature"), dict | list):
            feature = feature["feature"]
        else:
            return feature if isinstance(feature, dict) else {}


def _named(schema: "pa.Schema", wanted: str, table: str) -> "tuple[Column, pa.DataType]":
    """A column by its name, or with dots between the names of structs, and its type."""
    if wanted in schema.names:
        return Column(wanted), schema.field(schema.names.index(wanted)).type
    for name in sorted(schema.names, key=len, reverse=True):
        if wanted.startswith(f"{name}."):
            steps = tuple(wanted.removeprefix(f"{name}.").split("."))
            kind = _nested(schema.field(schema.names.index(name)).type, steps)
            if kind is not None:
                return Column(name, steps), kind
    raise UsageError(f"{table} has no column {wanted}: {_listed(schema)}.", "Name one of these.")


def _nested(kind: "pa.DataType", steps: Sequence[str]) -> "pa.DataType | None":
    import pyarrow.types as pt

    for step in steps:
        index = kind.get_field_index(step) if pt.is_struct(kind) else -1
        if index < 0:
            return None
        kind = kind.field(index).type
    return kind


def _content(kind: "pa.DataType") -> "pa.DataType":
    """What lists and dictionaries of this type hold."""
    import pyarrow.types as pt

    while _is_list(kind) or pt.is_dictionary(kind):
        kind = kind.value_type
    return kind


def _is_list(kind: "pa.DataType") -> bool:
    import pyarrow.types as pt

    checks = (pt.is_list, pt.is_large_list, pt.is_fixed_size_list, pt.is_list_view, pt.is_large_list_view)
    return any(check(kind) for check in checks)


def _is_bytes(kind: "pa.DataType") -> bool:
    import pyarrow.types as pt

    return any(check(kind) for check in (pt.is_binary, pt.is_large_binary, pt.is_binary_view))


def _is_text(kind: "pa.DataType") -> bool:
    import pyarrow.types as pt

    return any(check(kind) for check in (pt.is_string, pt.is_large_string, pt.is_string_view))


def _is_struct(kind: "pa.DataType") -> bool:
    """Whether it is Hugging Face's form, ``struct<bytes: binary, path: string>``, with or without the path."""
    import pyarrow as pa
    import pyarrow.types as pt

    if not pt.is_struct(kind):
        return False
    of = {kind.field(index).name: _content(kind.field(index).type) for index in range(kind.num_fields)}
    path = of.get("path", pa.null())  # the type of a column in which no row has one
    return "bytes" in of and _is_bytes(of["bytes"]) and (_is_text(path) or pt.is_null(path))


def _is_label(kind: "pa.DataType") -> bool:
    import pyarrow.types as pt

    if pt.is_dictionary(kind):
        kind = kind.value_type
    return pt.is_integer(kind) or _is_text(kind)


def _listed(schema: "pa.Schema") -> str:
    """The columns and their types, for a message."""
    return "its columns are " + ", ".join(_described(schema)) if len(schema) else "it has no columns"


def _described(schema: "pa.Schema") -> Iterator[str]:
    for field in list(schema)[:_SHOWN]:
        yield f"{field.name} ({_type(field.type)})"
    if len(schema) > _SHOWN:
        yield f"and {len(schema) - _SHOWN} more"


def _type(kind: "pa.DataType") -> str:
    """A type in words, without what is nested in it."""
    import pyarrow.types as pt

    if _is_bytes(kind) or _is_text(kind):
        return "bytes" if _is_bytes(kind) else "text"
    if pt.is_dictionary(kind) or _is_list(kind):
        return _type(kind.value_type) if pt.is_dictionary(kind) else f"a list of {_type(kind.value_type)}"
    if pt.is_struct(kind):
        return f"a struct of {', '.join(kind.field(index).name for index in range(kind.num_fields)) or 'nothing'}"
    return str(kind) if kind.num_fields == 0 else str(kind).split("<")[0]
