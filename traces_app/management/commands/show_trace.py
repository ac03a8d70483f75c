from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from traces_app.selectors import get_tree
from traces_app.text_tree import render

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    help = "Print one action as a tree, by run, trace, W3C trace or request id."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id")
        parser.add_argument("--limit", type=int, default=200, help="rows at most")

    def handle(self, *args: Any, **options: Any) -> None:
        tree = get_tree(options["id"])
        if tree is None:
            raise CommandError("no action has this run, trace, W3C trace or request id")
        self.stdout.write(render(tree, limit=options["limit"]), ending="")
