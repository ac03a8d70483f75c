"""A fifth pool, ASKING, with graphs that ask, take two steps, talk, and keep nothing.

`python -m tests.integration.asking_pool --pool ASKING --port N` is its worker;
`python -m tests.integration.asking_pool register` makes its graphs and tables known, as a deployment with four more
rows of the registry does.
"""

from __future__ import annotations

import asyncio
import os
import sys

from contract.graph_spec import GraphSpec
from contract.registry import GRAPHS
from contract.shapes import SHAPES

POOL = "ASKING"
SECRET = "the secret of the asking pool"
_MODULE = "tests.worker.graphs.asking"
_ANYTHING = "anything"

SHAPES[_ANYTHING] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Anything",
    "type": "object",
    "examples": [{"x": 1}],
}


def _spec(name: str, description: str, builder: str, *, resumable: bool = True) -> GraphSpec:
    return GraphSpec(
        name,
        _MODULE,
        pool=POOL,
        input_shape=_ANYTHING,
        description=description,
        resumable=resumable,
        builder_attr=builder,
    )


SPECS = (
    _spec("asking", "Asks.", "build_asking"),
    _spec("steps", "Two steps.", "build_steps"),
    _spec("talking", "Talks.", "build_talking"),
    _spec("forgetful", "Keeps nothing.", "build_steps", resumable=False),
)


def register() -> None:
    """Bring the platform's registry and the pool's schema to these graphs, at `DATABASE_URL`."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "platform_site.settings")
    django.setup()
    from fleet.worker.setup import set_up
    from registry_app.sync import sync_registry

    sync_registry(specs=(*GRAPHS, *SPECS))
    asyncio.run(set_up(os.environ["DATABASE_URL"], [POOL]))


if __name__ == "__main__":
    if sys.argv[1:] == ["register"]:
        register()
    else:
        from fleet.worker.__main__ import main

        sys.exit(main(specs=SPECS))
