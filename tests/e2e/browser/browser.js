// browser.js - a headless Chromium that obeys lines of JSON on standard input, and answers each with one line: of
// harness/browser.py. CHROMIUM is the program; playwright-core comes by NODE_PATH.
'use strict';

const readline = require('readline');
const { setTimeout: sleep } = require('timers/promises');
const { chromium } = require('playwright-core');

const complaints = []; // of the console, of the page's script, of requests that failed or went elsewhere
let browser, page;

const verbs = {
  // A new page in a window of its own.
  async open({ url, scheme = 'light', width = 1200, height = 900 }) {
    if (page) await page.context().close();
    const context = await browser.newContext({ colorScheme: scheme, viewport: { width, height }, reducedMotion: 'reduce' });
    page = await context.newPage();
    page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('request', (request) => new URL(request.url()).origin === new URL(url).origin || complaints.push(`elsewhere: ${request.url()}`));
    const answer = await page.goto(url, { timeout: 20000 });
    return answer.status();
  },
  evaluate: ({ script }) => page.evaluate(script),
  // Until it is true: asked for from outside, for the page's own policy lets nothing be evaluated inside.
  async wait({ script, timeout }) {
    for (const end = Date.now() + timeout; Date.now() < end; await sleep(50)) if (await page.evaluate(script)) return true;
    throw new Error(`not within ${timeout} ms: ${script}; the page says: ${await page.evaluate('document.body.innerText')}`);
  },
  press: ({ key }) => page.keyboard.press(key),
  type: ({ text }) => page.keyboard.type(text),
  screenshot: ({ path }) => page.screenshot({ path, fullPage: true }).then(() => path),
  complaints: async () => complaints.splice(0),
};

async function main() {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--no-proxy-server'],
  });
  console.log(JSON.stringify({ result: browser.version() }));
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { verb, ...options } = JSON.parse(line);
    try {
      console.log(JSON.stringify({ result: (await verbs[verb](options)) ?? null }));
    } catch (error) {
      console.log(JSON.stringify({ error: String(error) }));
    }
  }
  await browser.close();
}

main().catch((error) => {
  console.log(JSON.stringify({ error: String(error) }));
  process.exitCode = 1;
});
