"""`manage.py prune_traces`: let go of traces whose time is over, and of the long values of those not sampled."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, transaction

from traces_app.store.partitions import prune, shed_unsampled

BASE_DAYS = 14
EXTENDED_DAYS = 400
QUIET_MINUTES = 60


class Command(BaseCommand):
    help = "Drop whole days of traces by retention class; traces with feedback are kept longer."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--base-days", type=int, default=BASE_DAYS)
        parser.add_argument("--extended-days", type=int, default=EXTENDED_DAYS)
        parser.add_argument(
            "--quiet-minutes", type=int, default=QUIET_MINUTES, help="Rest before an unsampled trace goes."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        base, extended = options["base_days"], options["extended_days"]
        if not 1 <= base <= extended:
            raise CommandError("--base-days: must be from 1 to --extended-days")
        now = datetime.now(UTC)
        with transaction.atomic(), connection.cursor() as cur:
            shed = shed_unsampled(cur, before=now - timedelta(minutes=options["quiet_minutes"]))
        with transaction.atomic(), connection.cursor() as cur:
            gone = prune(
                cur,
                base_before=now.date() - timedelta(days=base),
                extended_before=now.date() - timedelta(days=extended),
            )
        self.stdout.write(f"{shed} chunks shed; days pruned: {', '.join(map(str, gone)) or 'none'}")
