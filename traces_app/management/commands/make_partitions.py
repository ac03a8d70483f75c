"""`manage.py make_partitions`: today's partitions of the trace store and those of the days to come."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import connection, transaction

from traces_app.store.partitions import AHEAD_DAYS, make_partitions


class Command(BaseCommand):
    help = "Make the day partitions of the trace store that are missing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, default=AHEAD_DAYS, help="How many days ahead.")

    def handle(self, *args: Any, **options: Any) -> None:
        with transaction.atomic(), connection.cursor() as cur:
            made = make_partitions(cur, datetime.now(UTC).date(), options["days"])
        self.stdout.write(f"{made} tables made")
