"""The status page in a headless Chromium, and /metrics read by promtool. Screenshots are left in build/screenshots."""

import pathlib
import subprocess

import pytest

from harness.browser import ROOT, Browser
from harness.status import page_of
from harness.targets import Listener, Refusing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
TOKEN = "0123456789abcdefTOKEN"
PICTURES = pathlib.Path(ROOT / "build" / "screenshots")


@pytest.fixture
def served(pairsocks, tmp_path):
    (tmp_path / "token").write_text(TOKEN + "\n")
    return pairsocks(
        daemon={"status": "127.0.0.1:0", "status_token_file": tmp_path / "token"},
        upstreams={"away": {"type": "socks5", "server": "127.0.0.1:9, 192.0.2.1:1080"}},
    )


@pytest.fixture
def browser(program, tmp_path, keep):
    return keep(Browser(program("chromium"), tmp_path))


def url_of(daemon):
    return f"http://{page_of(daemon).address}/"


def show_sessions(browser):
    """With the keyboard alone: to the field of the token, and on."""
    browser.wait("!document.getElementById('ask').hidden")
    for _ in range(20):
        browser.press("Tab")
        if browser.evaluate("document.activeElement.id") == "token":
            break
    assert browser.evaluate("document.activeElement.id") == "token"
    browser.tell("type", text=TOKEN)
    browser.press("Enter")
    browser.wait("!document.getElementById('shown').hidden")


def text_of(part):
    return f"document.getElementById('{part}').innerText"


def picture(browser, name):
    PICTURES.mkdir(parents=True, exist_ok=True)
    browser.tell("screenshot", path=str(PICTURES / f"{name}.png"))


def test_a_session_appears_and_ends_and_an_error_has_its_name(served, browser, through, dial, keep):
    browser.open(url_of(served))
    browser.wait(f"{text_of('state')} === 'serving'")
    show_sessions(browser)
    target = keep(Listener())
    client, end = through(served, target)
    end.send(b"x" * 250000)
    client.read(250000)
    browser.wait(f"{text_of('sessions')}.includes('{client.local}')")
    browser.wait(f"{text_of('sessions')}.includes('250 kB')")
    browser.wait(f"{text_of('figure-sessions')} === '1'")
    browser.wait("document.querySelectorAll('#chart path').length >= 2")
    picture(browser, "session")
    client.close()
    end.close()
    browser.wait(f"!{text_of('sessions')}.includes('{client.local}')")
    refused = dial(served)
    refusing = keep(Refusing())
    refused.negotiate("socks5", refusing.host, refusing.port)
    refused.close()
    browser.wait(f"{text_of('errors')}.includes('system.connect.refused')")
    picture(browser, "error")
    assert browser.tell("complaints") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 375, 320])
def test_it_is_readable_in_both_schemes_on_a_desk_and_a_phone(served, browser, through, keep, scheme, width):
    through(served, keep(Listener()))
    browser.open(url_of(served), scheme=scheme, width=width, height=800)
    show_sessions(browser)
    browser.wait("document.querySelectorAll('#sessions tbody tr').length === 1")
    picture(browser, f"{scheme}-{width}")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    light = browser.evaluate("getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)")
    assert (min(light) > 200) == (scheme == "light") and (max(light) < 60) == (scheme == "dark")
    assert browser.tell("complaints") == []


# Ratio of two colours as WCAG 2 has it, of every piece of text against what it stands on.
CONTRAST = """(() => {
  const numbers = (text) => text.match(/[0-9.]+/g).map(Number);
  const light = ([r, g, b]) => { const f = (c) => ((c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const ground = (e) => { for (; e; e = e.parentElement) { const c = numbers(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] > 0.99) return c; } return [255, 255, 255]; };
  let worst = 99;
  for (const e of document.querySelectorAll('main *, header *, footer *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !e.getClientRects().length || e.closest('svg')) continue;
    const a = light(numbers(getComputedStyle(e).color)), b = light(ground(e));
    worst = Math.min(worst, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
  }
  return worst; })()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_it_stands_on(served, browser, scheme):
    browser.open(url_of(served), scheme=scheme)
    browser.wait("document.querySelectorAll('#upstreams tbody tr').length === 2")
    assert browser.evaluate(CONTRAST) >= 4.5


def test_another_token_is_told_and_a_good_one_can_be_forgotten(served, browser):
    browser.open(url_of(served))
    browser.wait("!document.getElementById('ask').hidden")
    browser.evaluate("document.getElementById('token').focus()")
    browser.tell("type", text="not-the-token-at-all")
    browser.press("Enter")
    browser.wait(f"{text_of('token-wrong')}.includes('not the token')")
    assert browser.evaluate("document.activeElement.id") == "token"
    browser.tell("type", text=TOKEN)
    browser.press("Enter")
    browser.wait("!document.getElementById('shown').hidden")
    browser.evaluate("document.getElementById('forget').focus()")
    browser.press("Enter")
    browser.wait("document.getElementById('shown').hidden && !document.getElementById('ask').hidden")
    assert browser.evaluate("sessionStorage.length") == 0


def test_a_daemon_that_is_gone_is_told(served, browser):
    browser.open(url_of(served))
    browser.wait(f"{text_of('state')} === 'serving'")
    served.process.terminate()
    browser.wait(f"{text_of('state')} === 'no answer'")
    browser.wait("!document.getElementById('problem').hidden")
    browser.tell("complaints")


def test_promtool_takes_the_metrics(served, program, dial, keep):
    refused, refusing = dial(served), keep(Refusing())
    refused.negotiate("socks5", refusing.host, refusing.port)
    refused.close()
    served.session(refused)
    text = page_of(served).ask("/metrics").text
    assert 'pairsocks_sessions_ended_total{error="system.connect.refused"} 1' in text
    done = subprocess.run([program("promtool"), "check", "metrics"], input=text, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
