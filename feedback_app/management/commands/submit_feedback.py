from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from feedback_app.services import submit_feedback
from feedback_app.store import SOURCES, FeedbackError

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    help = "Give feedback on a run, by its id; a repeat with the same source event changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("run_id")
        parser.add_argument("key")
        parser.add_argument("--score", type=float)
        parser.add_argument("--value")
        parser.add_argument("--comment", default="")
        parser.add_argument("--source", choices=SOURCES, default="human")
        parser.add_argument("--source-event-id", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        names = ("run_id", "key", "score", "value", "comment", "source", "source_event_id")
        try:
            result = submit_feedback(
                **{name: options[name] for name in names}, actor="command:submit_feedback"
            )
        except FeedbackError as error:
            raise CommandError(str(error)) from None
        outcome = "created" if result.created else "edited" if result.changed else "unchanged"
        self.stdout.write(f"{outcome} {result.feedback.pk}")
