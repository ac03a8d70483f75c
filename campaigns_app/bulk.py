"""Write many rows with one statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import Model


def write(rows: Sequence[Model], fields: Sequence[str]) -> None:
    """Store these fields of the rows as they are now.

    Django's `bulk_update` builds an expression for each field of each row; its compiling cost more than the writing.
    """
    if not rows:
        return
    meta = rows[0]._meta
    by_name = {field.name: field for field in meta.concrete_fields}
    columns = [meta.pk, *(by_name[name] for name in fields)]
    values = [
        [column.get_db_prep_save(getattr(row, column.attname), connection) for row in rows]
        for column in columns
    ]
    key, *names = [str(column.column) for column in columns]
    arrays = ", ".join(f"%s::{column.db_type(connection)}[]" for column in columns)
    sets = ", ".join(f"{name} = v.{name}" for name in names)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {meta.db_table} t SET {sets} FROM unnest({arrays}) v({', '.join((key, *names))}) "  # noqa: S608 the names are the model's own
            f"WHERE t.{key} = v.{key}",
            values,
        )
