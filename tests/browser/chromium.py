"""The Chromium that tests and benches open, and how it is started."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

#: Its path, None where none is installed.
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
#: Beside each page of a new window Chromium loads the popups of its own address bar: a third of what a visit took.
_WITHOUT = ("WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup")


def launch(playwright: Playwright) -> Browser:
    """Start a Chromium whose windows are busy with their pages alone."""
    args = ["--no-sandbox", f"--disable-features={','.join(_WITHOUT)}"]
    return playwright.chromium.launch(executable_path=CHROMIUM, args=args)
