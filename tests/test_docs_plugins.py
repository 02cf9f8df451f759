"""``docs/plugins.md``: its code is the template's code, runs, and names every hook."""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pluggy
import pytest
from werkzeug.test import Client

from flaskreg import hookspecs
from flaskreg import testing
from flaskreg.access import Access
from flaskreg.testing import AccessControllerTests


ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "plugins" / "flaskreg-example"
PAGE = (ROOT / "docs" / "plugins.md").read_text()

#: files that the page shows from their first to their last line.
WHOLE = (
    "setup.cfg",
    "pyproject.toml",
    "flaskreg_example/__init__.py",
    "flaskreg_example/middleware.py",
)

_BLOCK = re.compile(r"^```\w+ (?P<name>\S+)\n(?P<code>.*?)^```$", re.M | re.S)


def blocks(name):
    """Return the code blocks of the page that are of one file."""
    return [match["code"] for match in _BLOCK.finditer(PAGE) if match["name"] == name]


def lines(text):
    """Return the lines of a text that are not blank."""
    return [line for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("name", WHOLE)
def test_the_page_shows_the_template(name):
    """What is built on the page is what stands in the template."""
    shown = "\n".join(blocks(name))
    assert lines(shown) == lines((EXAMPLE / name).read_text())


def test_the_page_shows_tests_of_the_template():
    """The tests on the page begin the template's tests."""
    (shown,) = blocks("tests/test_example.py")
    real = (EXAMPLE / "tests" / "test_example.py").read_text()
    assert real.startswith(shown)


def run_python(folder, *arguments):
    """Run Python in *folder*, with what is in it importable."""
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTEST_ADDOPTS": ""}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_a_plugin_from_an_empty_folder(tmp_path):
    """Who follows the page has a plugin that passes the suites."""
    folder = tmp_path / "flaskreg-example"
    for name in WHOLE:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("\n\n".join(blocks(name)))
    (folder / "flaskreg_example" / "py.typed").touch()
    shutil.copy(EXAMPLE / "README.md", folder)
    shutil.copytree(
        EXAMPLE / "tests", folder / "tests", ignore=shutil.ignore_patterns("__*")
    )
    made = run_python(folder, "-c", "import setuptools as s; s.setup()", "egg_info")
    assert made.returncode == 0, made.stdout + made.stderr
    # The template runs them all itself; here, those that show that it fits together.
    chosen = ["-k", "Plugin or put or append or list"]
    tested = run_python(
        folder, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", *chosen
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert re.search(r"\b\d\d passed", tested.stdout), tested.stdout


def load(tmp_path, name):
    """Import a file of the page."""
    (code,) = blocks(name)
    path = tmp_path / name
    path.write_text(code)
    spec = importlib.util.spec_from_file_location(f"page_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def environment(monkeypatch):
    """Set the environment variables that select the page's controller."""
    for name in [name for name in os.environ if name.startswith("REGISTRY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("REGISTRY_STORAGE", "inmemory")
    monkeypatch.setenv("REGISTRY_AUTH_TEAM_PASSWORD", "secret")


@pytest.mark.usefixtures("environment")
def test_the_access_controller_over_http(tmp_path):
    """Everybody pulls, and the password is wanted for all else."""
    client = Client(load(tmp_path, "wsgi.py").app)
    assert client.get("/v2/team/app/tags/list").status_code == 404
    refused = client.post("/v2/team/app/blobs/uploads/")
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == 'Basic realm="team"'
    for password, status in (("wrong", 401), ("secret", 202)):
        answer = client.post("/v2/team/app/blobs/uploads/", auth=("me", password))
        assert answer.status_code == status
    assert client.get("/v2/").status_code == 401
    assert client.get("/v2/", auth=("me", "secret")).status_code == 200


def test_it_has_about_twenty_lines():
    """The page's promise, from the class to the application."""
    (code,) = blocks("wsgi.py")
    body = code[code.index("class TeamAccess") :]
    assert len(lines(body)) <= 28


@pytest.mark.usefixtures("environment")
class TestPageAccess(AccessControllerTests):
    """The access controller of the page passes the suite."""

    @pytest.fixture
    def controller(self, tmp_path):
        """Return the controller."""
        return load(tmp_path, "wsgi.py").TeamAccess("secret")

    @pytest.fixture
    def good_request(self):
        """Return credentials with the password, ``me:secret``."""
        return {"Authorization": "Basic bWU6c2VjcmV0"}

    @pytest.fixture
    def bad_request(self):
        """Return credentials with another password, ``me:wrong``."""
        return {"Authorization": "Basic bWU6d3Jvbmc="}


@pytest.mark.usefixtures("environment")
def test_the_wrapper(tmp_path, caplog, monkeypatch, make_app):
    """It sees what any controller refuses."""
    monkeypatch.delenv("REGISTRY_AUTH_TEAM_PASSWORD")
    plugin = load(tmp_path, "watched.py").WatchedPlugin()
    silly = {"controller": "silly", "parameters": {"realm": "r", "service": "s"}}
    app = make_app(plugins=(plugin,), auth=silly)
    with caplog.at_level(logging.WARNING, "watched"):
        assert Client(app).get("/v2/a/tags/list").status_code == 401
    (record,) = [each for each in caplog.records if each.name == "watched"]
    assert str(Access("repository", "a", "pull")) in record.getMessage()


def test_every_hook_is_documented():
    """Each has a heading with the names of its arguments, in their order of life."""
    manager = pluggy.PluginManager("flaskreg")
    manager.add_hookspecs(hookspecs)
    wanted = []
    for name in (name for name in vars(hookspecs) if name.startswith("flaskreg_")):
        spec = getattr(manager.hook, name).spec
        wanted.append(f"{name}({', '.join(spec.argnames)})")
    assert re.findall(r"^#+ (flaskreg_\w+\(.*\))$", PAGE, re.M) == wanted


ROWS = dict(re.findall(r"^\| `(\w+)` \|(.*)$", PAGE, re.M))
SUITES = [name for name in dir(testing) if name.endswith("Tests")]


def test_every_suite_is_documented():
    """Each has a row in the table."""
    assert ROWS.keys() == set(SUITES)


@pytest.mark.parametrize("name", SUITES)
def test_every_ability_is_documented(name):
    """Each attribute that a plugin can set is in the suite's row, with its default."""
    suite = getattr(testing, name)
    known = {
        key for base in suite.__mro__ for key in vars(base).get("__annotations__", ())
    }
    wanted = {}
    for key in known:
        default = getattr(suite, key, None)
        told = f" ({default})".lower() if isinstance(default, bool) else ""
        wanted[key] = f"`{key}`{told}".removesuffix(")")
    assert [text for text in wanted.values() if text not in ROWS[name]] == []
    attributes = ROWS[name].rpartition(" | ")[2]
    listed = re.findall(r"`(\w+)`(?= \((?:true|false|\d))", attributes)
    assert set(listed) <= wanted.keys()


def test_the_marks_of_the_page(tmp_path):
    """A test is for those who state its abilities, or for those who do not."""
    (code,) = blocks("tape.py")
    made = (
        "\n\nfrom flaskreg.defaults.inmemory import InMemoryDriver\nimport pytest\n"
        "\n\nclass TestTape(TapeTests):\n    rewinds = {rewinds}\n"
        "    @pytest.fixture\n    def make_driver(self): return InMemoryDriver\n"
    )
    for rewinds, name in ((True, "_rewinding"), (False, "_says_so")):
        (tmp_path / "test_tape.py").write_text(code + made.format(rewinds=rewinds))
        arguments = ("-m", "pytest", "-p", "no:cacheprovider", "-v", "-k", "rewind")
        told = run_python(tmp_path, *arguments).stdout
        assert f"{name} PASSED" in told, told
        assert "1 passed" in told
