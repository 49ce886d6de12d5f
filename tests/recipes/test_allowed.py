"""What recipes may use: by names alone, before anything is imported."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from oneiric.recipes import BaseScriptlet, run_recipe
from oneiric.recipes.errors import RecipeRefusedError
from oneiric.recipes.modules import is_local, origin_of
from oneiric.recipes.settings import RecipeSettings
from tests.recipes.conftest import SCRIPTLETS, Desk
from tests.recipes.doors import compiled, refused, wrong


class Installed(BaseScriptlet):
    """Stand for a scriptlet that does not lie under the working directory."""

    def run(self, ctx: object, params: object) -> int:
        """Print nothing, which is wrong, for it is never run."""
        return 0


def one(module: str, function: str = "Write", *, more: str = "version: 1") -> str:
    """Return a recipe of one step."""
    return f"{more}\nsteps:\n- {{name: a, module: {module}, function: {function}}}\n"


@pytest.mark.parametrize(
    ("module", "function"),
    [("subprocess", "Popen"), ("pydoc_data.topics", "topics"), ("tests.recipes.doors", "Told")],
)
def test_defect_recipes_7_what_no_list_allows_is_refused_and_not_imported(
    desk: Desk, module: str, function: str
) -> None:
    """Neither the standard library nor what is installed, with its line and exit code 3."""
    known = set(sys.modules)
    path = desk.write("r.yaml", one(module, function))
    assert refused(path) == [("steps.0.module", 3, f"the module {module} is not allowed here")]
    assert not {each for each in set(sys.modules) - known if each.startswith(module)}
    with pytest.raises(RecipeRefusedError) as raised:
        run_recipe(path, checkpoints=False)
    assert raised.value.exit_code == 3


def test_popen_is_no_scriptlet_even_where_its_module_is_allowed(desk: Desk) -> None:
    """Only a class derived from the base class is."""
    path = desk.write("r.yaml", one("subprocess", "Popen"))
    ((key, _, what),) = wrong(path, RecipeSettings(allow_modules=["*"]))
    assert (key, what) == (
        "steps.0.module",
        "Popen is no scriptlet: it is not derived from oneiric.recipes.BaseScriptlet",
    )
    assert subprocess.Popen.__module__ == "subprocess"


def test_a_module_under_the_working_directory_is_allowed_unless_that_is_off(desk: Desk) -> None:
    """In packages with and without a file of their own."""
    desk.write("plain/inner/deep.py", SCRIPTLETS)
    desk.write("full/__init__.py", "")
    desk.write("full/steps.py", SCRIPTLETS)
    for module in ("steps", "plain.inner.deep", "full.steps"):
        compiled(desk.write("r.yaml", one(module)))
    off = RecipeSettings(allow_local=False)
    assert len(refused(desk.write("r.yaml", one("steps")), off)) == 1


def test_a_link_out_of_the_working_directory_is_not_under_it(
    desk: Desk, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Nor is what a virtual environment in it holds, nor a file that hides behind another."""
    outside = tmp_path_factory.mktemp("outside") / "linked.py"
    outside.write_text(SCRIPTLETS, encoding="utf-8")
    (desk.folder / "linked.py").symlink_to(outside)
    desk.write("json.py", SCRIPTLETS)
    desk.write(".venv/site-packages/venved.py", SCRIPTLETS)
    sys.path.append(str(desk.folder / ".venv/site-packages"))
    for module in ("linked", "json", "venved"):
        assert len(refused(desk.write("r.yaml", one(module)))) == 1, module


def test_patterns_of_the_configuration_and_of_the_command_widen(desk: Desk) -> None:
    """A pattern fits whole names; a star fits any part of one."""
    path = desk.write("r.yaml", one("tests.recipes.test_allowed", "Installed"))
    for pattern in ("tests", "tests.recipes.test_a", "recipes.*", "Tests.*"):
        assert refused(path, RecipeSettings(allow_modules=[pattern]))
    compiled(path, RecipeSettings(allow_modules=["tests.*"]))
    compiled(path, patterns=["*.test_allowed"])


def test_a_recipe_narrows_what_the_machine_allows_and_never_widens_it(desk: Desk) -> None:
    """Both lists must hold a module."""
    narrow = "allow: {modules: [other.*]}"
    told = [("steps.0.module", 3, "steps is not among the recipe's allow.modules")]
    assert refused(desk.write("r.yaml", one("steps", more=narrow))) == told
    compiled(desk.write("r.yaml", one("steps", more="allow: {modules: [st*]}")))
    wide = "allow: {modules: ['*']}"
    assert refused(desk.write("r.yaml", one("tests.recipes.doors", more=wide)))


def test_what_a_distribution_names_as_scriptlets_is_allowed(
    desk: Desk, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module, and everything in a package."""
    home = tmp_path_factory.mktemp("installed")
    (home / "acme_steps").mkdir()
    (home / "acme_steps" / "more.py").write_text(SCRIPTLETS, encoding="utf-8")
    (home / "acme_other.py").write_text(SCRIPTLETS, encoding="utf-8")
    info = home / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[oneiric.scriptlets]\nacme = acme_steps\n")
    monkeypatch.syspath_prepend(str(home))
    compiled(desk.write("r.yaml", one("acme_steps.more")))
    assert refused(desk.write("r.yaml", one("acme_other")))
    for name in ("acme_steps.more", "acme_steps"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    "rules",
    ["deny = ['ACME_Steps']", "allow = ['other']", "auto_load = false"],
)
def test_who_may_bring_no_plugins_names_no_scriptlets_either(
    desk: Desk,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    rules: str,
) -> None:
    """One section of the configuration holds for all that a distribution brings."""
    home = tmp_path_factory.mktemp("installed")
    (home / "acme_kit.py").write_text(SCRIPTLETS, encoding="utf-8")
    info = home / "acme_steps-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-steps\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[oneiric.scriptlets]\nacme = acme_kit\n")
    monkeypatch.syspath_prepend(str(home))
    path = desk.write(
        "r.yaml", "steps: [{name: a, module: acme_kit, function: Write, args: {key: a.b_v1}}]"
    )
    run_recipe(path, checkpoints=False)
    sys.modules.pop("acme_kit", None)
    desk.write("oneiric.toml", f"[plugins]\n{rules}\n")
    with pytest.raises(RecipeRefusedError, match="asks for what is not allowed"):
        run_recipe(path, checkpoints=False)
    assert "acme_kit" not in sys.modules


def test_each_folder_in_which_recipes_are_run_has_its_own_modules(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process runs recipes in one folder, in another and in the first again."""
    text = """
        import json
        from kit.names import NAME
        from oneiric.recipes import BaseScriptlet

        class Say(BaseScriptlet):
            def run(self, ctx, params):
                ctx.set("a.name_v1", NAME)
                print(json.dumps({"status": "ok", "outputs": ["a.name_v1"]}))
                return 0
        """
    recipe = """
        version: 2
        steps:
          - {name: a, module: saying, function: Say}
          - {name: b, module: saying, function: Say, timeout: 60, depends_on: [a]}
        """
    for folder in ("one", "two"):
        desk.write(f"{folder}/saying.py", text)
        desk.write(f"{folder}/kit/names.py", f"NAME = '{folder}'")
        desk.write(f"{folder}/r.yaml", recipe)
    for folder in ("one", "two", "one"):
        monkeypatch.chdir(desk.folder / folder)
        assert run_recipe("r.yaml", checkpoints=False).to_dict() == {"a.name_v1": folder}


def test_a_module_that_hides_the_one_here_is_told(
    desk: Desk, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one here is not what an import would run, so it is not what is allowed."""
    home = tmp_path_factory.mktemp("elsewhere")
    (home / "hiding.py").write_text(SCRIPTLETS, encoding="utf-8")
    monkeypatch.syspath_prepend(str(home))
    desk.write("hiding.py", SCRIPTLETS)
    ((_, _, what),) = refused(desk.write("r.yaml", one("hiding")))
    assert what.startswith("the module hiding is not allowed here")
    assert what.endswith(f": it is {home / 'hiding.py'}, which hides the one here")


def test_a_module_is_local_with_all_packages_around_it(
    desk: Desk, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """An import of it runs them too."""
    outside = tmp_path_factory.mktemp("outside") / "__init__.py"
    outside.write_text("", encoding="utf-8")
    desk.write("bound/inner.py", SCRIPTLETS)
    (desk.folder / "bound" / "__init__.py").symlink_to(outside)
    assert len(refused(desk.write("r.yaml", one("bound.inner")))) == 1


def test_modules_and_classes_that_are_not_there_are_told_with_the_nearest(desk: Desk) -> None:
    """So is a module that cannot be imported, and a class that does not do everything."""
    desk.write("broken.py", "import no_such_thing")
    desk.write("exits.py", "raise SystemExit(3)")
    desk.write("lends.py", "from steps import Write")
    desk.write(
        "half.py", "from oneiric.recipes import BaseScriptlet\nclass Half(BaseScriptlet): ..."
    )
    path = desk.write(
        "r.yaml",
        """
        steps:
          - {name: a, module: stesp, function: Write}
          - {name: b, module: steps, function: Wriet}
          - {name: c, module: broken, function: Write}
          - {name: d, module: exits, function: Write}
          - {name: e, module: lends, function: Write}
          - {name: f, module: half, function: Half}
          - {name: g, module: steps.inner, function: Write}
        """,
    )
    assert wrong(path) == [
        ("steps.0.module", 2, "there is no module stesp"),
        ("steps.1.function", 3, "steps has no class Wriet; did you mean Write?"),
        (
            "steps.2.module",
            4,
            "broken cannot be imported: ModuleNotFoundError: No module named 'no_such_thing'",
        ),
        ("steps.3.module", 5, "exits cannot be imported: SystemExit: 3"),
        ("steps.4.function", 6, "lends has no class Write of its own"),
        ("steps.5.function", 7, "Half has no run of its own"),
        ("steps.6.module", 8, "there is no module steps.inner"),
    ]


def test_what_is_refused_is_told_with_what_is_wrong(desk: Desk) -> None:
    """And then the recipe is wrong, for that has to be mended first."""
    text = one("subprocess", "Popen") + "- {name: b, type: shell}\n"
    assert wrong(desk.write("r.yaml", text)) == [
        ("steps.0.module", 3, "the module subprocess is not allowed here"),
        ("steps.1.run", 4, "a shell step needs run or script"),
    ]


def test_text_for_a_shell_is_allowed_by_the_machine_and_by_the_recipe(desk: Desk) -> None:
    """A list of arguments needs neither."""
    text = "{}\nsteps:\n- {{name: a, type: shell, run: {}}}\n"
    compiled(desk.write("r.yaml", text.format("version: 1", "[echo, a]")))
    plain = desk.write("plain.yaml", text.format("version: 1", "echo a"))
    asked = desk.write("asked.yaml", text.format("allow: {shell: true}", "echo a"))
    wide = RecipeSettings(allow_shell=True)
    here = "text for a shell is not allowed here; write a list of arguments"
    assert refused(plain) == refused(asked) == [("steps.0.run", 3, here)]
    there = "text for a shell needs allow.shell in the recipe"
    assert refused(plain, wide) == [("steps.0.run", 3, there)]
    compiled(asked, wide)


def test_what_a_module_prints_when_it_is_imported_is_no_answer(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stdout is for the envelopes of steps."""
    desk.write("loud.py", f"print('loud')\n{SCRIPTLETS}")
    compiled(desk.write("r.yaml", one("loud")))
    assert capsys.readouterr().out == ""


def test_origins_are_found_without_importing(desk: Desk) -> None:
    """Of what is built in, of what is frozen, of packages and of nothing."""
    stdlib = Path(sysconfig.get_path("stdlib")).resolve()
    assert origin_of("xml.dom.minidom") == stdlib / "xml/dom/minidom.py"
    assert origin_of("sys") == Path()
    assert origin_of("there_is.none") is None
    assert origin_of("sys.inner") is None
    for name in ("sys", "__hello__", "zipimport", "json"):
        assert not is_local(name, desk.folder)
