"""Every key of the settings does something: it is read by what it is for.

The table of keys is made from the models. Each is set to something else than its
default, by the file and by each variable that stands for it; then the server's own
configuration, its log, and the application with all plugins are made from that, and
what they read of the settings is noted.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import sys
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import flaskreg_acme
import flaskreg_notifications
import flaskreg_prometheus
import flaskreg_proxy
import flaskreg_redis
import pytest
import trustme
import yaml
from config.samples import MOVED
from config.samples import leaves
from config.samples import nested
from config.samples import read
from config.samples import sample
from config.test_keys import variables
from gunicorn.config import Config
from werkzeug.test import Client

import flaskreg
import flaskreg.config
from flaskreg import create_app
from flaskreg import hookimpl
from flaskreg.config import Settings
from flaskreg.config import load_settings
from flaskreg.config.section import Section
from flaskreg.config.shapes import Key
from flaskreg.config.shapes import Kind
from flaskreg.config.shapes import keys
from flaskreg.defaults.memorycache import NoCache

from .images import OCI
from .servers import Server
from .usable import BESIDE
from .usable import ELSEWHERE
from .usable import USABLE


pytestmark = pytest.mark.live

CORE = Path(flaskreg.__file__).parent
CONFIG = CORE / "config"
#: what reads keys in order to print them.
PRINTERS = (CONFIG / "show.py",)
PLUGINS = (
    flaskreg_acme,
    flaskreg_notifications,
    flaskreg_prometheus,
    flaskreg_proxy,
    flaskreg_redis,
)
USERS = (CORE, *(Path(each.__file__).parent for each in PLUGINS))


class AnyPlugin:
    """A plugin with a middleware of each kind, and a cache, that do nothing."""

    @hookimpl
    def flaskreg_register_caches(self) -> Mapping[str, Any]:
        return {"any": lambda _parameters: NoCache()}

    @hookimpl
    def flaskreg_register_storage_middleware(self) -> Mapping[str, Any]:
        return {"any": lambda driver, _options: driver}

    @hookimpl
    def flaskreg_register_registry_middleware(self) -> Mapping[str, Any]:
        return {"any": lambda registry, _options: registry}

    @hookimpl
    def flaskreg_register_repository_middleware(self) -> Mapping[str, Any]:
        return {"any": lambda _options: lambda repository: repository}


class Reads:
    """Notes which keys of some settings are read, and by whom it counts."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self._places: dict[int, str] = {}
        self._kept: list[Section] = []

    def know(self, section: Section, path: str = "") -> None:
        """Learn where each section below one stands."""
        self._places[id(section)] = path
        # Else its id might be another's one day.
        self._kept.append(section)
        for name, key in keys(type(section)).items():
            here = f"{path}.{name}" if path else name
            value = section.__dict__[key.attribute]
            if isinstance(value, Section):
                self.know(value, here)
            elif isinstance(value, list):
                for item in value:
                    if isinstance(item, Section):
                        self.know(item, f"{here}[]")

    def note(self, section: Section, attribute: str, frame: FrameType) -> None:
        """Note what is read, if it is a key of settings that are known."""
        path = self._places.get(id(section))
        if path is None or not counts(frame):
            return
        for name, key in keys(type(section)).items():
            if key.attribute == attribute:
                self.seen.add(f"{path}.{name}" if path else name)


def counts(frame: FrameType | None) -> bool:
    """Whether it is the registry or a plugin that reads, and not to print it."""
    while frame is not None:
        file = Path(frame.f_code.co_filename)
        if file in PRINTERS:
            return False
        if file.parent != CONFIG and file != Path(__file__):
            return any(file.is_relative_to(user) for user in USERS)
        frame = frame.f_back
    return False


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    """Return what notes every read of settings that are loaded from now on."""
    noted = Reads()

    def loading(*args: Any, **kwargs: Any) -> Settings:
        settings = load_settings(*args, **kwargs)
        noted.know(settings)
        return settings

    def reading(section: Section, name: str) -> Any:
        if not name.startswith("_"):
            noted.note(section, name, sys._getframe(1))
        return object.__getattribute__(section, name)

    monkeypatch.setattr(flaskreg.config, "load_settings", loading)
    monkeypatch.setattr(Section, "__getattribute__", reading, raising=False)
    return noted


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a certificate, and with two images in a registry."""
    made = trustme.CA().issue_cert("localhost")
    made.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    made.private_key_pem.write_to_path(tmp_path / "key.pem")
    storage = {
        "driver": "filesystem",
        "parameters": {"rootdirectory": f"{tmp_path}/registry"},
    }
    client = Client(create_app(Settings.model_validate({"storage": storage})))
    index = {"schemaVersion": 2, "mediaType": OCI.index, "manifests": []}
    for name in ("app/of", "app/one"):
        url = f"/v2/{name}/manifests/v1"
        assert client.put(url, json=index, content_type=OCI.index).status_code == 201
    return tmp_path


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    """Leave no handler behind."""
    yield
    for name in ("flaskreg", "gunicorn.error", "gunicorn.access"):
        logger = logging.getLogger(name)
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
            handler.close()


def merge(below: Any, above: Any) -> Any:
    """Return two trees in one; items of lists are merged by their place."""
    if isinstance(below, dict) and isinstance(above, dict):
        both = {key: merge(below[key], above[key]) for key in below.keys() & above}
        return below | above | both
    if not (isinstance(below, list) and isinstance(above, list)):
        return above
    if not all(isinstance(item, dict) for item in (*below, *above)):
        return above
    pairs = [merge(*pair) for pair in zip(below, above, strict=False)]
    return pairs + below[len(pairs) :] + above[len(pairs) :]


Fill = Callable[[Any], Any]


@pytest.fixture
def fill(folder: Path, request: pytest.FixtureRequest) -> Fill:
    """Return what puts the folder, and the URL of an empty registry, into a tree."""

    def fill(tree: Any) -> Any:
        text = json.dumps(tree).replace("{folder}", str(folder))
        if "{upstream}" in text:
            upstream: Server = request.getfixturevalue("flaskreg")
            text = text.replace("{upstream}", upstream.url)
        return json.loads(text)

    return fill


def bare(name: str, value: Any) -> Any:
    """Return the tree that sets one key, and nothing else."""
    tree = value
    for part in reversed(name.split(".")):
        tree = {part.removesuffix("[]"): [tree] if part.endswith("[]") else tree}
    return tree


def around(name: str) -> dict[str, Any]:
    """Return what has to stand in the file so that the key matters."""
    storage = {"filesystem": {"rootdirectory": "{folder}/registry"}}
    tree: dict[str, Any] = {"version": 0.1, "storage": storage}
    for beginning, needed in BESIDE.items():
        if f"{name}.".startswith((f"{beginning}.", f"{beginning}[]")):
            tree = merge(tree, needed)
    return tree


def make_all() -> Settings:
    """Make everything from the configuration, as gunicorn does it; serve a request."""
    spec = importlib.util.find_spec("flaskreg.gunicornconf")
    assert spec is not None
    assert spec.origin is not None
    apart = importlib.util.spec_from_file_location("gunicornconf_apart", spec.origin)
    assert apart is not None
    assert apart.loader is not None
    module = importlib.util.module_from_spec(apart)
    apart.loader.exec_module(module)
    settings: Settings = module._settings
    module.logger_class(Config())
    module.set_up_logs(settings)
    app = create_app(settings, (AnyPlugin(),))
    client = Client(app)
    for path in ("/v2/", "/v2/app/of/manifests/v1", "/v2/app/one/manifests/v1"):
        assert client.get(path).status_code in (200, 403, 404, 502, 503)
    app.stop()
    return settings


LEAVES = [(name, key) for name, key in leaves() if name not in ELSEWHERE]
NAMES = [name for name, _key in LEAVES]


def value_of(name: str, key: Key, fill: Fill) -> tuple[Any, Any]:
    """Return a value as it is written, and as it is read."""
    if name in USABLE:
        written = fill(USABLE[name])
        return written, written
    return sample(name, key)


@pytest.mark.parametrize(("name", "key"), LEAVES, ids=NAMES)
def test_by_the_file(
    reads: Reads,
    folder: Path,
    fill: Fill,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    key: Key,
) -> None:
    """It arrives, and is read."""
    written, expected = value_of(name, key, fill)
    tree = nested(name, None)
    for above in (fill(around(name)), bare(name, written)):
        tree = merge(tree, above)
    file = folder / "config.yml"
    file.write_text(yaml.safe_dump(tree))
    monkeypatch.setenv("REGISTRY_CONFIGURATION_PATH", str(file))
    settings = make_all()
    assert MOVED.get(name, name) in reads.seen
    assert read(settings, name) == expected


@pytest.mark.parametrize(("name", "key"), LEAVES, ids=NAMES)
def test_by_the_environment(
    reads: Reads,
    folder: Path,
    fill: Fill,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    key: Key,
) -> None:
    """It takes the place of what the file says, and is read."""
    written, expected = value_of(name, key, fill)
    file = folder / "config.yml"
    tree = merge(nested(name, None), fill(around(name)))
    file.write_text(yaml.safe_dump(tree))
    monkeypatch.setenv("REGISTRY_CONFIGURATION_PATH", str(file))
    variable = variables(name)[0]
    text = written if isinstance(written, str) else json.dumps(written)
    monkeypatch.setenv(variable, text)
    settings = make_all()
    assert MOVED.get(name, name) in reads.seen
    assert read(settings, name) == expected
    assert settings.warnings == ()


def test_what_is_read_elsewhere_exists() -> None:
    """The list holds keys, and each reason is told."""
    assert ELSEWHERE.keys() <= {name for name, _key in leaves()}
    assert all(ELSEWHERE.values())


def test_every_kind_of_value_is_tried() -> None:
    """Lists and maps too."""
    kinds = {key.shape.kind for _name, key in LEAVES}
    assert kinds == set(Kind) - {Kind.SECTION, Kind.ANY}
