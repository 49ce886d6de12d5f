"""Discovery: real distributions on the path; a broken one stops no other."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from oneiric.core.ref import DOMAINS
from oneiric.domains import ALL
from oneiric.runtime.discovery import Discovered, discover, prefixes
from oneiric.runtime.settings import PluginSettings
from tests.distributions import install, offers

Scan = Callable[..., dict[str, Discovered]]

ADAPTERS = "oneiric.adapters"
PRODUCTS = ("recipes", "validation")


@pytest.fixture
def scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scan]:
    """Return a scan that gives what it found, by distribution, with *tmp_path* on the path."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def run(**settings: object) -> dict[str, Discovered]:
        found = discover(PluginSettings.model_validate(settings))
        return {plugin.distribution: plugin for plugin in found if plugin.name not in PRODUCTS}

    yield run
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def offered(plugin: Discovered) -> list[str]:
    return [str(candidate.offer) for candidate in plugin.candidates]


def test_a_plugin_brings_its_offers_with_its_distribution_as_source(
    tmp_path: Path, scan: Scan
) -> None:
    """Source, version and stack are the distribution's; the detail names the entry point."""
    install(
        tmp_path,
        "Good-Plugin",
        entry_points={ADAPTERS: "good_plugin:PLUGIN"},
        module=offers("'adapter:cache', 'good', 'good_plugin:Cache', priority=7"),
    )

    plugin = scan()["good-plugin"]

    (candidate,) = plugin.candidates
    assert (plugin.error, plugin.skipped, plugin.version) == ("", "", "1.0")
    assert str(candidate.source) == "plugin:good-plugin 1.0"
    assert candidate.source.detail == "oneiric.adapters:main"
    assert (candidate.stack, candidate.priority) == ("good-plugin", 7)
    assert plugin.as_json() == {
        "group": ADAPTERS,
        "name": "main",
        "target": "good_plugin:PLUGIN",
        "distribution": "good-plugin",
        "version": "1.0",
        "candidates": ["adapter:cache@good"],
        "error": "",
        "skipped": "",
    }


def test_our_own_rooms_come_first_and_by_the_same_way(scan: Scan) -> None:
    """The house's offers are an entry point of its own distribution, never switched off."""
    found = discover(PluginSettings(auto_load=False, deny=("oneiric",)))

    own = [plugin for plugin in found if plugin.distribution == "oneiric"]
    assert found[: len(own)] == tuple(own)
    assert [(plugin.group, plugin.name) for plugin in own] == [
        ("oneiric.actions", "oneiric"),
        ("oneiric.adapters", "oneiric"),
        *(("oneiric.adapters", product) for product in PRODUCTS),
        *(("oneiric.tasks", product) for product in PRODUCTS),
    ]
    assert "adapter:cache@memory" in offered(own[1])
    assert {plugin.skipped for plugin in found[len(own) :]} <= {"plugins.auto_load is off"}


def test_every_domain_has_a_group_that_is_scanned(tmp_path: Path, scan: Scan) -> None:
    """One scan finds plugins of all six groups, actions included."""
    for domain in DOMAINS:
        install(
            tmp_path,
            f"gives-{domain}",
            entry_points={ALL[domain].group: f"gives_{domain}:PLUGIN"},
            module=offers(f"'{domain}:thing', 'mine', Thing"),
        )

    found = scan()

    assert {domain: offered(found[f"gives-{domain}"]) for domain in DOMAINS} == {
        domain: [f"{domain}:thing@mine"] for domain in DOMAINS
    }


BROKEN = {
    "broken-import": (
        {ADAPTERS: "broken_import:PLUGIN"},
        "import no_such_library",
        "ModuleNotFoundError: No module named 'no_such_library'",
    ),
    "broken-exit": (
        {ADAPTERS: "broken_exit:PLUGIN"},
        "raise SystemExit('enough')",
        "SystemExit: enough",
    ),
    "broken-interrupt": (
        {ADAPTERS: "broken_interrupt:PLUGIN"},
        "raise KeyboardInterrupt",
        "RuntimeError: interrupted itself",
    ),
    "broken-syntax": (
        {ADAPTERS: "broken_syntax:PLUGIN"},
        "def",
        "SyntaxError: invalid syntax (__init__.py, line 1)",
    ),
    "no-attribute": (
        {ADAPTERS: "no_attribute:PLUGIN"},
        "",
        "AttributeError: module 'no_attribute' has no attribute 'PLUGIN'",
    ),
    "no-plugin": (
        {ADAPTERS: "no_plugin:PLUGIN"},
        "PLUGIN = ['adapter:cache']",
        "TypeError: no_plugin:PLUGIN is list, not a Plugin",
    ),
    "no-target": ({ADAPTERS: "not a target"}, "", "ValueError: "),
    "bad-offer": (
        {ADAPTERS: "bad_offer:PLUGIN"},
        offers("'adapter:../../x', 'mine', Thing"),
        "InvalidCandidateError: the offer adapter:../../x@mine",
    ),
    "wrong-domain": (
        {"oneiric.tasks": "wrong_domain:PLUGIN"},
        offers("'task:fine', 'mine', Thing", "'adapter:secrets', 'mine', Thing"),
        "ValueError: adapter:secrets@mine: the group oneiric.tasks brings task candidates only",
    ),
    "said-twice": (
        {ADAPTERS: "said_twice:PLUGIN"},
        offers("'adapter:cache', 'mine', Thing", "'adapter:cache', 'mine', Thing, priority=5"),
        "InvalidCandidateError: the offer adapter:cache@mine from plugin:said-twice 1.0 is ",
    ),
    "high-priority": (
        {ADAPTERS: "high_priority:PLUGIN"},
        offers("'adapter:cache', 'mine', Thing, priority=1001"),
        "ValueError: adapter:cache@mine: priority 1001 lies outside -1000 to 1000",
    ),
    "high-level": (
        {ADAPTERS: "high_level:PLUGIN"},
        offers("'adapter:cache', 'mine', Thing, stack_level=101"),
        "ValueError: adapter:cache@mine: stack level 101 lies outside -100 to 100",
    ),
    "foreign-factory": (
        {ADAPTERS: "foreign_factory:PLUGIN"},
        offers("'adapter:cache', 'mine', 'subprocess:Popen'"),
        "ValueError: adapter:cache@mine: subprocess:Popen is under no allowed prefix (oneiric, ",
    ),
    "foreign-model": (
        {ADAPTERS: "foreign_model:PLUGIN"},
        offers("'adapter:cache', 'mine', Thing, settings_model='pydantic:BaseModel'"),
        "ValueError: adapter:cache@mine: pydantic:BaseModel is under no allowed prefix",
    ),
    "foreign-health": (
        {ADAPTERS: "foreign_health:PLUGIN"},
        offers("'adapter:cache', 'mine', Thing, health='os:abort'"),
        "ValueError: adapter:cache@mine: os:abort is under no allowed prefix",
    ),
    "foreign-callable": (
        {ADAPTERS: "foreign_callable:PLUGIN"},
        "import subprocess\n" + offers("'adapter:cache', 'mine', subprocess.Popen"),
        "ValueError: adapter:cache@mine: subprocess:Popen is under no allowed prefix (oneiric, ",
    ),
    "foreign-partial": (
        {ADAPTERS: "foreign_partial:PLUGIN"},
        "import os\nfrom functools import partial\n"
        + offers("'adapter:cache', 'mine', partial(partial(os.getenv, 'A'), None)"),
        "ValueError: adapter:cache@mine: os:getenv is under no allowed prefix",
    ),
    "foreign-instance": (
        {ADAPTERS: "foreign_instance:PLUGIN"},
        "from operator import itemgetter\n" + offers("'adapter:cache', 'mine', itemgetter(0)"),
        "ValueError: adapter:cache@mine: operator:itemgetter is under no allowed prefix",
    ),
    "builtin-callable": (
        {ADAPTERS: "builtin_callable:PLUGIN"},
        offers("'adapter:cache', 'mine', dict"),
        "ValueError: adapter:cache@mine: builtins:dict is under no allowed prefix",
    ),
    "foreign-model-class": (
        {ADAPTERS: "foreign_model_class:PLUGIN"},
        "import pydantic\n"
        + offers("'adapter:cache', 'mine', Thing, settings_model=pydantic.RootModel"),
        "ValueError: adapter:cache@mine: pydantic.root_model:RootModel is under no allowed",
    ),
    "foreign-health-check": (
        {ADAPTERS: "foreign_health_check:PLUGIN"},
        offers("'adapter:cache', 'mine', Thing, health=bool"),
        "ValueError: adapter:cache@mine: builtins:bool is under no allowed prefix",
    ),
    "lookalike": (
        {ADAPTERS: "lookalike:PLUGIN"},
        offers("'adapter:cache', 'mine', 'oneiric_evil:Cache'"),
        "ValueError: adapter:cache@mine: oneiric_evil:Cache is under no allowed prefix",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_keeps_its_error_and_stops_no_other(
    name: str, tmp_path: Path, scan: Scan
) -> None:
    """It brings nothing at all, says why beside its distribution, and the others serve on."""
    entry_points, module, error = BROKEN[name]
    install(tmp_path, name, entry_points=entry_points, module=module)
    install(
        tmp_path,
        "sound",
        entry_points={ADAPTERS: "sound:PLUGIN"},
        module=offers("'adapter:cache', 'sound', Thing"),
    )

    found = scan()

    assert found[name].error.startswith(error)
    assert found[name].candidates == ()
    assert offered(found["sound"]) == ["adapter:cache@sound"]
    assert "adapter:cache@memory" in offered(found["oneiric"])


def test_defect_oneiric_p1_a_plugin_of_one_group_cannot_bring_another_domain(
    tmp_path: Path, scan: Scan
) -> None:
    """A plugin for tasks that offers `secrets` with priority 1e9 brings nothing, under its name."""
    install(
        tmp_path,
        "greedy",
        entry_points={"oneiric.tasks": "greedy:PLUGIN"},
        module=offers("'adapter:secrets', 'greedy', 'greedy:Secrets', priority=10**9"),
    )

    plugin = scan()["greedy"]

    assert plugin.candidates == ()
    assert plugin.error == (
        "ValueError: "
        "adapter:secrets@greedy: the group oneiric.tasks brings task candidates only; "
        "adapter:secrets@greedy: priority 1000000000 lies outside -1000 to 1000"
    )


def test_a_plugin_cannot_name_another_source(tmp_path: Path, scan: Scan) -> None:
    """Whatever source its code claims, its offers are recorded as the distribution's."""
    install(
        tmp_path,
        "masked",
        entry_points={ADAPTERS: "masked:PLUGIN"},
        module="from oneiric.core.candidate import Source, SourceKind\n"
        + offers(
            "'adapter:cache', 'masked', Thing, source=Source(SourceKind.PLUGIN, 'oneiric', '9.9')"
        ),
    )

    (candidate,) = scan()["masked"].candidates

    assert (str(candidate.source), candidate.stack) == ("plugin:masked 1.0", "masked")


def test_of_two_plugins_that_bring_one_offer_the_second_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither replaces the other unseen; the error says which one was first."""
    monkeypatch.syspath_prepend(str(tmp_path))
    install(
        tmp_path,
        "doubled",
        entry_points=f"[{ADAPTERS}]\na = doubled:PLUGIN\nb = doubled:OTHER",
        module=offers("'adapter:cache', 'mine', Thing")
        + "\nOTHER = Plugin([*PLUGIN.candidates, Candidate('adapter:cache', 'more', Thing)])\n",
    )

    found = [each for each in discover(PluginSettings()) if each.distribution == "doubled"]

    del sys.modules["doubled"]
    assert [(each.name, offered(each), each.error) for each in found] == [
        ("a", ["adapter:cache@mine"], ""),
        (
            "b",
            [],
            f"ValueError: adapter:cache@mine is brought by {ADAPTERS}:a already",
        ),
    ]


SPELLINGS = ("My.Odd_Plugin", "my-odd-plugin", "MY__ODD--PLUGIN")


def install_odd(folder: Path) -> None:
    install(
        folder,
        "My.Odd_Plugin",
        entry_points={ADAPTERS: "my_odd_plugin:PLUGIN"},
        module=offers("'adapter:cache', 'odd', Thing"),
    )


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_denied_plugin_is_never_imported(spelling: str, tmp_path: Path, scan: Scan) -> None:
    """However its name is spelled, what `deny` names is listed and brings nothing."""
    install_odd(tmp_path)

    plugin = scan(deny=[spelling])["my-odd-plugin"]

    assert (plugin.skipped, plugin.candidates) == ("plugins.deny names it", ())
    assert "my_odd_plugin" not in sys.modules


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_an_allow_list_admits_whom_it_names_and_nobody_else(
    spelling: str, tmp_path: Path, scan: Scan
) -> None:
    """Our own rooms need no mention; a plugin both allowed and denied is denied."""
    install_odd(tmp_path)
    install(tmp_path, "other", entry_points={ADAPTERS: "other:PLUGIN"}, module=offers())

    found = scan(allow=[spelling])

    assert offered(found["my-odd-plugin"]) == ["adapter:cache@odd"]
    assert found["other"].skipped == "plugins.allow does not name it"
    assert found["oneiric"].skipped == ""
    both = scan(allow=[spelling], deny=[spelling])
    assert both["my-odd-plugin"].skipped == "plugins.deny names it"


def test_plugins_are_loaded_unless_auto_load_is_off(tmp_path: Path, scan: Scan) -> None:
    """They load by default; without, each is listed as skipped and none is imported."""
    install_odd(tmp_path)

    assert scan(auto_load=False)["my-odd-plugin"].skipped == "plugins.auto_load is off"
    assert "my_odd_plugin" not in sys.modules
    assert offered(scan()["my-odd-plugin"]) == ["adapter:cache@odd"]


def test_an_allowed_prefix_lets_factories_of_another_package_in(tmp_path: Path, scan: Scan) -> None:
    """What the settings name may be named by plugins, below the package as well."""
    install(
        tmp_path,
        "borrower",
        entry_points={ADAPTERS: "borrower:PLUGIN"},
        module=offers("'adapter:cache', 'mine', 'lender.shelf:Cache'"),
    )

    assert scan()["borrower"].error != ""
    assert offered(scan(allowed_prefixes=["lender"])["borrower"]) == ["adapter:cache@mine"]


OWN_CALLABLES = """
from functools import partial
import subprocess

class Cache(subprocess.Popen):
    @classmethod
    def made(cls): return object.__new__(cls)
    def __call__(self): return self

def make(): return Cache.made()
"""


@pytest.mark.parametrize(
    "factory", ["Cache", "make", "lambda: Cache.made()", "partial(make)", "Cache.made", "make()"]
)
def test_promise_m7_text_and_callables_of_a_plugin_are_judged_alike(
    factory: str, tmp_path: Path, scan: Scan
) -> None:
    """What counts is where it was defined: a plugin's own class, function or partial is its own."""
    module = OWN_CALLABLES + offers(f"'adapter:cache', 'mine', {factory}")
    install(tmp_path, "caller", entry_points={ADAPTERS: "caller:PLUGIN"}, module=module)

    found = scan()["caller"]

    assert (found.error, offered(found)) == ("", ["adapter:cache@mine"])


def test_promise_m7_an_allowed_prefix_lets_foreign_callables_in(tmp_path: Path, scan: Scan) -> None:
    """By the same setting as what is named by text."""
    module = "import subprocess\n" + offers("'adapter:cache', 'mine', subprocess.Popen")
    install(tmp_path, "borrows", entry_points={ADAPTERS: "borrows:PLUGIN"}, module=module)

    found = scan(allowed_prefixes=["subprocess"])["borrows"]

    assert offered(found) == ["adapter:cache@mine"]


def test_factories_may_come_from_the_packages_of_plugins_that_loaded(
    tmp_path: Path, scan: Scan
) -> None:
    """A plugin that was refused lends no prefix."""
    install_odd(tmp_path)
    settings = PluginSettings(allowed_prefixes=("lender",))

    found = [plugin for plugin in scan().values() if "example" not in plugin.distribution]
    refused = [scan(deny=["my-odd-plugin"])["my-odd-plugin"]]

    assert prefixes(found, settings) == ("lender", "my_odd_plugin", "oneiric")
    assert prefixes(refused, settings) == ("lender", "oneiric")


@pytest.mark.parametrize("text", ["[console_scripts]\nno equals sign\n", "[oneiric.adapters]\nx\n"])
def test_a_distribution_whose_entry_points_cannot_be_read_stops_no_other(
    text: str, tmp_path: Path, scan: Scan
) -> None:
    """It is listed with the reason; plugins before and after it load as ever."""
    install(tmp_path, "garbled", entry_points=text)
    install_odd(tmp_path)

    found = scan()

    assert found["garbled"].error.startswith("its entry points cannot be read: TypeError: ")
    assert offered(found["my-odd-plugin"]) == ["adapter:cache@odd"]
    assert "adapter:cache@memory" in offered(found["oneiric"])


@pytest.mark.parametrize("metadata", ["", "Metadata-Version: 2.1\n"])
def test_a_distribution_without_a_name_is_listed_as_unknown(
    metadata: str, tmp_path: Path, scan: Scan
) -> None:
    """Missing metadata is no reason to stop, nor to lose what the plugin brings."""
    install(
        tmp_path,
        "nameless",
        entry_points={ADAPTERS: "nameless:PLUGIN"},
        module=offers("'adapter:cache', 'nameless', Thing"),
        metadata=metadata,
    )

    assert offered(scan()["unknown"]) == ["adapter:cache@nameless"]


def test_the_first_distribution_of_a_name_on_the_path_counts(
    tmp_path: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second one, older or newer, is not read, as its modules would not be found either."""
    for folder, provider in ((tmp_path / "second", "late"), (tmp_path / "first", "early")):
        install(
            folder,
            "twice",
            entry_points={ADAPTERS: "twice:PLUGIN"},
            module=offers(f"'adapter:cache', '{provider}', Thing"),
        )
        monkeypatch.syspath_prepend(str(folder))

    twice = [each for each in discover(PluginSettings()) if each.distribution == "twice"]

    assert [offered(plugin) for plugin in twice] == [["adapter:cache@early"]]
