"""A page of the console in Chromium, as tests of all its pages open it."""

import re
from dataclasses import dataclass, field

from playwright.sync_api import ConsoleMessage, Page, Request, expect

from tests.console.block import PASSWORD
from tests.integration.console_filling import NAME

AS_THE_DRIVER = (
    "AvoidCorsURLLoaderRestartOnRedirect",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "ThirdPartyStoragePartitioning",
    "AimEnabled",
)
"""What Playwright switches off. Of two lists a browser takes the last one, so that ours has to say it again."""
UNSEEN = ("WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "SpareRendererForSitePerProcess")
"""What hangs from an address bar that nobody sees, and a process in store: they cost more for each window than our page in it."""
OFF = f"--disable-features={','.join((*AS_THE_DRIVER, *UNSEEN))}"
QUIET = ["--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-sync", "--disable-dev-shm-usage", OFF, *QUIET]


@dataclass
class Window:
    """One page, with everything that it complained of or asked for."""

    page: Page
    address: str
    complaints: list[str] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._note)

    def log_in(self) -> None:
        self.page.goto(self.address)
        self.page.get_by_label("Name").fill(NAME)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Log in").click()
        expect(self.page.locator("body")).to_have_attribute("data-verdict", "live")

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _note(self, request: Request) -> None:
        self.asked.add(re.sub(r"^(\w+://[^/]*).*", r"\1", request.url))
