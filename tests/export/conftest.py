"""Node.js, the player and Chromium, where they are; and a plain web server."""

import functools
import os
import shutil
import subprocess
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent / "browser"
PACKAGES = ("@magenta/music", "@tensorflow/tfjs", "puppeteer-core")
NODE_MODULES = "MUSIC_VAE_NODE_MODULES"
CHROMIUM = "MUSIC_VAE_CHROMIUM"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TIMEOUT_S = 600


@pytest.fixture(scope="session")
def node_modules():
    """The folder with the packages of `browser/package.json`."""
    if shutil.which("node") is None:
        pytest.skip("there is no node")
    given = os.environ.get(NODE_MODULES)
    if not given:
        pytest.skip(f"{NODE_MODULES} does not name a folder where npm has put the packages")
    folder = Path(given)
    missing = [name for name in PACKAGES if not (folder / name / "package.json").is_file()]
    if missing:
        pytest.skip(f"{NODE_MODULES}={given} lacks {', '.join(missing)}")
    return folder


@pytest.fixture(scope="session")
def node(node_modules):
    """Runs a script of `browser` in Node.js; fails with what it says."""

    def run(script, *arguments, **variables):
        result = subprocess.run(
            ["node", str(SCRIPTS / script), *map(str, arguments)],
            env={**os.environ, "NODE_PATH": str(node_modules), **variables},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    return run


@pytest.fixture(scope="session")
def chromium(node):
    """Runs a script of `browser` that opens pages in Chromium."""
    found = [os.environ.get(CHROMIUM), *map(shutil.which, _BROWSERS)]
    browser = next((path for path in found if path), None)
    if browser is None:
        pytest.skip(f"there is no Chromium ({', '.join(_BROWSERS)}, or {CHROMIUM})")
    return functools.partial(node, CHROMIUM=browser)


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def web(tmp_path_factory):
    """A folder and the address at which a web server gives it out."""
    folder = tmp_path_factory.mktemp("web")
    handler = functools.partial(_Handler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()
