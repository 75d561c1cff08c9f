// page.js - asks the daemon for /status.json every two seconds and shows it. Text of the daemon only ever becomes
// text nodes. The token is kept in sessionStorage, and goes nowhere but into the requests to this daemon.
'use strict';

const PERIOD = 2000; // ms
const LEAST = 1; // s between two answers that a rate is made of
const SPAN = { least: 30, most: 180 }; // s that the chart shows
const TOKEN = 'pairsocks-token';

const at = (id) => document.getElementById(id);

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// ---- numbers as people read them

function scaled(n, base, units) {
  let i = 0;
  while (n >= base && i < units.length - 1) {
    n /= base;
    i++;
  }
  return `${i === 0 || n >= 99.5 ? Math.round(n) : n.toFixed(1)} ${units[i]}`;
}

const bytes = (n) => scaled(n, 1000, ['B', 'kB', 'MB', 'GB', 'TB', 'PB']);
const rate = (n) => (n === null ? '–' : `${bytes(n)}/s`);
const count = (n) => n.toLocaleString('en').replaceAll(',', '\u202f');

const many = (n) => `${count(n)} session${n === 1 ? '' : 's'}`;

function duration(ms) {
  if (ms < 1000) return `${ms} ms`;
  const s = Math.floor(ms / 1000);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

const clock = (seconds) => new Date(seconds * 1000).toLocaleString();

// ---- changing the page without disturbing who reads it: what stays the same is not touched

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setMeter(cell, part) {
  let meter = cell.querySelector('.meter');
  if (!meter) {
    meter = make('span', { className: 'meter', ariaHidden: 'true' }, make('i'));
    cell.append(meter);
  }
  meter.firstChild.style.width = `${Math.min(100, part * 100)}%`;
}

// Shows `items` as the children of `parent`, one for each key: those that are there are updated in place.
function keyed(parent, items, keyOf, create, update) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let before = parent.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let child = old.get(key);
    if (child) old.delete(key);
    else {
      child = create(item);
      child.dataset.key = key;
    }
    update(child, item);
    if (child === before) before = before.nextElementSibling;
    else parent.insertBefore(child, before);
  }
  for (const child of old.values()) child.remove();
}

// A table's body: `columns` of {label, text(item), kind, show(cell, item)}; the first is the row's head.
function fill(table, items, keyOf, columns) {
  const create = () =>
    make('tr', {}, ...columns.map((column, i) => {
      const cell = make(i === 0 ? 'th' : 'td', { className: column.kind || '' }, make('span'));
      if (i === 0) cell.scope = 'row';
      cell.dataset.label = column.label;
      return cell;
    }));
  const update = (row, item) =>
    columns.forEach((column, i) => {
      const cell = row.children[i];
      const text = column.text(item);
      setText(cell.firstChild, text);
      cell.toggleAttribute('data-empty', text === '');
      if (column.show) column.show(cell, item);
    });
  keyed(table.tBodies[0], items, keyOf, create, update);
}

// ---- rates

const history = []; // {time (s), sent, received, started: rates, or null where the daemon is another one}
let last = null;

function remember(status) {
  const total = status.counters.total;
  const time = performance.now() / 1000;
  const now = { time, id: `${status.pid} ${status.started_at}`, total };
  const elapsed = last && last.id === now.id ? time - last.time : 0;
  if (elapsed > 0 && elapsed < LEAST) return;
  const per = (key) => (elapsed > 0 ? Math.max(0, total[key] - last.total[key]) / elapsed : null);
  history.push({ time, sent: per('sent'), received: per('received'), started: per('started') });
  while (history[0].time < time - SPAN.most - 5) history.shift();
  last = now;
}

function niceTop(most) {
  let top = 1000;
  while (top < most) top *= 10;
  return [0.2, 0.5, 1].map((part) => part * top).find((value) => value >= most);
}

function svg(tag, attributes, text) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text) element.textContent = text;
  return element;
}

// Pieces of a line: it ends where nothing is known.
function pieces(points) {
  const found = [[]];
  for (const point of points)
    if (point) found[found.length - 1].push(point);
    else found.push([]);
  return found.filter((piece) => piece.length > 1);
}

function drawChart() {
  const chart = at('chart');
  const width = chart.clientWidth, height = chart.clientHeight;
  if (!width || !history.length) return;
  const now = history[history.length - 1].time;
  const span = Math.min(SPAN.most, Math.max(SPAN.least, now - history[0].time));
  const known = history.filter((h) => h.sent !== null);
  const top = niceTop(Math.max(1, ...known.map((h) => Math.max(h.sent, h.received))));
  const x = (h) => width - ((now - h.time) / span) * width;
  const y = (value) => height - 1 - (value / top) * (height - 22);
  const path = (piece) => piece.map(([px, py], i) => `${i ? 'L' : 'M'}${px.toFixed(1)} ${py.toFixed(1)}`).join('');
  const line = (key) => pieces(history.map((h) => (h[key] === null ? null : [x(h), y(h[key])])));
  const parts = [];

  for (const part of [0, 0.5, 1]) {
    parts.push(svg('line', { class: 'grid', x1: 0, x2: width, y1: y(part * top), y2: y(part * top) }));
    if (part) parts.push(svg('text', { class: 'scale', x: 0, y: y(part * top) - 4 }, rate(part * top)));
  }
  for (const piece of line('received')) {
    const [first] = piece[0], [end] = piece[piece.length - 1];
    parts.push(svg('path', { class: 'area', d: `${path(piece)}L${end.toFixed(1)} ${height}L${first.toFixed(1)} ${height}Z` }));
    parts.push(svg('path', { class: 'line-down', d: path(piece) }));
  }
  for (const piece of line('sent')) parts.push(svg('path', { class: 'line-up', d: path(piece) }));
  chart.setAttribute('viewBox', `0 0 ${width} ${height}`);
  chart.replaceChildren(...parts);
  if (known.length) {
    const most = (key) => rate(Math.max(...known.map((h) => h[key])));
    setText(at('chart-from'), `${duration(Math.round(span) * 1000)} ago`);
    chart.setAttribute('aria-label', `The last ${duration(Math.round(span) * 1000)}: to clients at most ${most('received')}, to targets at most ${most('sent')}`);
  }
}

// ---- the parts of the page

function showFacts(status) {
  const facts = [
    ['Version', status.version],
    ['Up', duration((status.now - status.started_at) * 1000)],
    ['Workers', count(status.workers)],
    ['Process', String(status.pid)],
    ['Configuration', `${status.file || 'built-in'}, in force since ${clock(status.loaded_at)}`],
  ];
  keyed(at('facts'), facts, ([name]) => name,
    ([name]) => make('div', {}, make('dt', { textContent: name }), make('dd')),
    (element, [, value]) => setText(element.lastChild, value));
}

function showTraffic(status) {
  const rates = history[history.length - 1];
  setText(at('figure-sessions'), count(status.counters.total.sessions));
  setText(at('figure-new'), rates.started === null ? '–' : rates.started.toFixed(rates.started < 10 ? 1 : 0));
  setText(at('figure-received'), rate(rates.received));
  setText(at('figure-sent'), rate(rates.sent));
  drawChart();
}

const PROTOCOLS = { socks4: 'SOCKS4', socks5: 'SOCKS5', http: 'HTTP', forward: 'forward' };

function showListeners(status) {
  const counted = new Map(status.counters.listeners.map((l) => [l.name, l]));
  const turnedAway = (l) => Object.entries(l.refused).filter(([, n]) => n).map(([why, n]) => `${count(n)} by ${why}`);
  fill(at('listeners'), status.listeners, (l) => l.name, [
    { label: 'Name', text: (l) => l.name },
    { label: 'Address', kind: 'lines', text: (l) => l.addresses.join('\n') },
    { label: 'Speaks', text: (l) => l.protocols.map((p) => PROTOCOLS[p] || p).join(', ') + (l.security === 'none' ? '' : ` in TLS (${l.security})`) },
    { label: 'Sessions', kind: 'number', text: (l) => `${count(counted.get(l.name).sessions)} of ${count(l.max_sessions)}`,
      show: (cell, l) => setMeter(cell, counted.get(l.name).sessions / l.max_sessions) },
    { label: 'Queue', kind: 'number', text: (l) => count(l.queue) },
    { label: 'To clients', kind: 'number', text: (l) => bytes(counted.get(l.name).received) },
    { label: 'To targets', kind: 'number', text: (l) => bytes(counted.get(l.name).sent) },
    { label: 'Turned away', text: (l) => turnedAway(l).join(', ') || 'nobody' },
  ]);
}

const HEALTH = { good: ['good', 'good'], 'set aside': ['aside', 'set aside'], unhealthy: ['bad', 'unhealthy'] };

function lastError(server) {
  if (server.check_error) return server.check_error;
  if (!server.last_error) return '';
  return `${server.last_error}, ${clock(server.last_error_at)}`;
}

function health(server) {
  const word = HEALTH[server.state] ? HEALTH[server.state][1] : server.state;
  return server.retry_ms ? `${word} for ${duration(server.retry_ms)}` : word;
}

function showUpstreams(status) {
  const servers = status.upstreams.flatMap((upstream) =>
    upstream.servers.length
      ? upstream.servers.map((server) => ({ upstream, server }))
      : [{ upstream, server: null }]);
  at('upstreams').hidden = !servers.length;
  at('no-upstreams').hidden = servers.length > 0;
  fill(at('upstreams'), servers, ({ upstream, server }) => `${upstream.name} ${server ? server.server : ''}`, [
    { label: 'Name', text: ({ upstream }) => upstream.name },
    { label: 'Server', text: ({ upstream, server }) => `${server ? server.server : upstream.service || 'the target itself'} (${upstream.type})` },
    { label: 'Health', text: ({ upstream, server }) => (server ? health(server) : upstream.error || ''),
      show: (cell, { upstream, server }) => {
        const name = server ? (HEALTH[server.state] || ['aside'])[0] : upstream.error ? 'bad' : '';
        if (cell.firstChild.className !== name) cell.firstChild.className = name;
      } },
    { label: 'Sessions', kind: 'number', text: ({ server }) => (server ? count(server.sessions) : '') },
    { label: 'Last error', text: ({ server }) => (server ? lastError(server) : '') },
  ]);
}

function showErrors(status) {
  const errors = Object.entries(status.counters.errors).sort((a, b) => (b[0] === 'none') - (a[0] === 'none') || b[1] - a[1] || a[0].localeCompare(b[0]));
  const all = errors.reduce((sum, [, n]) => sum + n, 0);
  at('no-errors').hidden = all > 0;
  keyed(at('errors'), errors, ([name]) => name,
    ([name]) => make('li', { className: name === 'none' ? 'well' : '' }, make('span', { textContent: name === 'none' ? 'well' : name }), make('span')),
    (item, [, n]) => {
      setText(item.children[1], count(n));
      setMeter(item, n / all);
    });
}

// The bound below which this part of all lies.
function within(time, bounds, part) {
  let sum = 0;
  if (!time.count) return '–';
  for (let i = 0; i < bounds.length; i++) {
    sum += time.buckets[i];
    if (sum >= time.count * part) return duration(bounds[i]);
  }
  return `over ${duration(bounds[bounds.length - 1])}`;
}

const STEPS = { resolve: 'Finding the address', connect_direct: 'Connecting, direct', connect_upstream: 'Connecting, by upstreams', setup: 'All, until the reply' };

function showTimes(status) {
  const bounds = status.counters.bounds_ms;
  fill(at('times'), Object.entries(status.counters.times), ([name]) => name, [
    { label: 'Step', text: ([name]) => STEPS[name] || name },
    { label: 'Times', kind: 'number', text: ([, time]) => count(time.count) },
    { label: 'Half within', kind: 'number', text: ([, time]) => within(time, bounds, 0.5) },
    { label: '95 % within', kind: 'number', text: ([, time]) => within(time, bounds, 0.95) },
  ]);
}

// ---- sessions

const COLUMNS = [
  { label: 'Client', text: (s) => s.client },
  { label: 'User', text: (s) => s.user || '' },
  { label: 'Target', text: (s) => s.target || '' },
  { label: 'Route', text: (s) => s.route || '' },
  { label: 'State', text: (s) => s.state },
  { label: 'To client', kind: 'number', text: (s) => bytes(s.received), value: (s) => s.received },
  { label: 'To target', kind: 'number', text: (s) => bytes(s.sent), value: (s) => s.sent },
  { label: 'Age', kind: 'number', text: (s) => duration(s.age_ms), value: (s) => s.age_ms },
];
let order = { column: COLUMNS[COLUMNS.length - 1], descending: false };
let sessions = null;

function showSessions(status) {
  if (status) sessions = status.sessions;
  const token = sessionStorage.getItem(TOKEN);
  if (status) {
    at('no-token').hidden = status.has_token;
    at('ask').hidden = !status.has_token || token !== null;
  }
  at('shown').hidden = !sessions;
  if (!sessions) return;
  const wanted = at('filter').value.trim().toLowerCase();
  const value = order.column.value || order.column.text;
  const sign = order.descending ? -1 : 1;
  const shown = sessions
    .filter((s) => !wanted || COLUMNS.some((column) => column.text(s).toLowerCase().includes(wanted)))
    .sort((a, b) => sign * (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : a.id - b.id));
  fill(at('sessions'), shown, (s) => s.id, COLUMNS);
  at('no-sessions').hidden = shown.length > 0;
  at('sessions').hidden = shown.length === 0;
  setText(at('count'), shown.length === sessions.length ? many(shown.length) : `${count(shown.length)} of ${many(sessions.length)}`);
}

function makeHeads() {
  const heads = COLUMNS.map((column) => {
    const button = make('button', { type: 'button', textContent: column.label });
    const head = make('th', { scope: 'col', className: column.kind || '' }, button);
    button.addEventListener('click', () => {
      order = { column, descending: order.column === column && !order.descending };
      markOrder();
      showSessions();
    });
    return head;
  });
  const markOrder = () => heads.forEach((head, i) => {
    if (COLUMNS[i] === order.column) head.setAttribute('aria-sort', order.descending ? 'descending' : 'ascending');
    else head.removeAttribute('aria-sort');
  });
  at('sessions').tHead.rows[0].append(...heads);
  markOrder();
}

// ---- asking

function show(status) {
  at('problem').hidden = true;
  at('state').dataset.state = status.state;
  setText(at('state'), status.state);
  remember(status);
  showFacts(status);
  showTraffic(status);
  showListeners(status);
  showUpstreams(status);
  showErrors(status);
  showTimes(status);
  showSessions(status);
  setText(at('refreshed'), `as of ${new Date().toLocaleTimeString()}`);
}

function complain(state, text) {
  at('state').dataset.state = state;
  setText(at('state'), state === 'lost' ? 'no answer' : 'token needed');
  setText(at('problem'), text);
  at('problem').hidden = false;
}

// The token is none, or not the right one.
function denied() {
  const shownOne = sessionStorage.getItem(TOKEN) !== null;
  sessionStorage.removeItem(TOKEN);
  sessions = null;
  showSessions();
  at('ask').hidden = false;
  setText(at('token-wrong'), shownOne ? 'This is not the token of this daemon.' : '');
  if (!shownOne) complain('waiting', 'Here the numbers, too, are for those who hold the token: it is asked for below.');
}

async function ask() {
  const token = sessionStorage.getItem(TOKEN);
  const options = { cache: 'no-store', credentials: 'omit', signal: AbortSignal.timeout(10000) };
  if (token !== null) options.headers = { Authorization: `Bearer ${token}` };
  try {
    const answer = await fetch('status.json', options);
    if (answer.status === 401) denied();
    else if (!answer.ok) complain('lost', `The daemon answers: ${answer.status} ${answer.statusText}`);
    else {
      show(await answer.json());
      if (token !== null) setText(at('token-wrong'), '');
    }
  } catch (error) {
    complain('lost', 'The daemon does not answer. Numbers below are the last ones it gave.');
  }
}

let timer = null;

async function turn() {
  clearTimeout(timer);
  timer = null;
  await ask();
  if (!document.hidden && timer === null) timer = setTimeout(turn, PERIOD);
}

at('ask').addEventListener('submit', (event) => {
  event.preventDefault();
  const token = at('token').value.trim();
  at('token').value = '';
  sessionStorage.setItem(TOKEN, token);
  if (/^[!-~]+$/.test(token)) turn().then(() => (at('shown').hidden ? at('token') : at('filter')).focus());
  else denied();
});
at('forget').addEventListener('click', () => {
  sessionStorage.removeItem(TOKEN);
  sessions = null;
  showSessions();
  turn().then(() => at('token').focus());
});
at('filter').addEventListener('input', () => showSessions());
document.addEventListener('visibilitychange', () => document.hidden || turn());
addEventListener('resize', drawChart);
makeHeads();
turn();
