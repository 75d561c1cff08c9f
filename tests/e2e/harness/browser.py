"""A headless Chromium that a test looks at a page with (browser/browser.js)."""

import json
import os
import pathlib
import select
import subprocess

from . import wait

ROOT = pathlib.Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "tests" / "e2e" / "browser" / "browser.js"
MODULES = ROOT / "build" / "npm-slow" / "node_modules"


class Browser:
    def __init__(self, chromium, folder):
        environment = {**os.environ, "CHROMIUM": chromium, "NODE_PATH": str(MODULES), "HOME": str(folder)}
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "node", str(SCRIPT)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=folder,
        )  # fmt: skip
        self.answer(60)

    def answer(self, timeout):
        ready, _, _ = select.select([self.process.stdout], [], [], wait.seconds(timeout))
        assert ready, "the browser says nothing"
        line = self.process.stdout.readline()
        assert line, "the browser has ended"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def tell(self, verb, patience=30, **options):
        self.process.stdin.write(json.dumps({"verb": verb, **options}).encode() + b"\n")
        self.process.stdin.flush()
        return self.answer(patience)

    def open(self, url, **window):
        assert self.tell("open", url=url, **window) == 200

    def evaluate(self, script):
        return self.tell("evaluate", script=script)

    def wait(self, script, timeout=15):
        """Until the expression is true in the page."""
        seconds = wait.seconds(timeout)
        self.tell("wait", timeout + 5, script=script, timeout=seconds * 1000)

    def press(self, *keys):
        for key in keys:
            self.tell("press", key=key)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(wait.seconds(15))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
