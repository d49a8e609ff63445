// Live regions: <section data-live="zone:12 sublot:7 holds" data-src="/plant/tiles?site=1">…</section>
// The stream says what has changed; each region that is about it is read anew under its reader's own permits.
// Nothing is redrawn under typed text, an open dialog or a selection; while offline nothing is sent.
import {LiveStream} from './live-stream.js';

const bar = document.getElementById('live');
const HIDDEN = 60_000, BLOCKED = 15_000, VALUES = 1_000, CHANGES = 250, JITTER = [100, 250];
const regions = () => [...document.querySelectorAll('[data-live]')];
const states = new WeakMap();
const stateOf = region => states.get(region) ?? states.set(region, {last: 0, at: 0}).get(region);

// --- which regions, and when

const kindOf = topic => topic.split(':')[0];
const same = (word, kind) => word === kind || word === `${kind}s`;
function about(region, topics) {
  const words = region.dataset.live.split(/\s+/);
  return topics.some(topic => words.some(word =>
    word === topic || (!word.includes(':') && same(word, kindOf(topic))) || (!topic.includes(':') && same(kindOf(word), topic))));
}

function schedule(region, at, gap) {
  const state = stateOf(region), now = performance.now();
  state.at = Math.max(state.at, at);
  const due = Math.max(now + JITTER[0] + Math.random() * JITTER[1], state.last ? state.last + gap : 0);
  if (state.timer && state.due <= due) return;
  clearTimeout(state.timer);
  state.due = due;
  state.timer = setTimeout(() => refresh(region), due - now);
}

async function refresh(region) {
  const state = stateOf(region);
  state.timer = undefined;
  if (document.hidden || offline || !region.isConnected) { state.stale = true; return; }
  if (state.reading) return schedule(region, state.at, CHANGES);
  state.last = performance.now();
  state.reading = true;
  const answer = await fetch(region.dataset.src, {
    headers: {'lotwise-unasked': String(state.at), accept: 'text/html'}, redirect: 'manual', cache: 'no-store',
  }).catch(() => null);
  const html = answer?.ok ? await answer.text().catch(() => null) : null;
  state.reading = false;
  state.stale = false;
  if (answer?.type === 'opaqueredirect' || answer?.status === 401) return ended('expired');
  if (answer?.status === 403 || answer?.status === 404) return offer(region, `<p class="live-gone">${escaped(bar.dataset.gone)}</p>`);
  if (html === null) return setTimeout(() => schedule(region, state.at, CHANGES), 5_000);
  if (html !== state.html) offer(region, html);
}

const escaped = text => { const made = document.createElement('i'); made.textContent = text; return made.innerHTML; };

// --- redrawing

function offer(region, html) {
  const state = stateOf(region);
  state.html = html;
  state.waits = busy(region);
  if (state.waits) note(region); else swap(region, html);
}

function busy(region) {
  const active = document.activeElement, picked = getSelection();
  return (region.contains(active) && active.matches('textarea,select,[contenteditable],input:not([type=checkbox],[type=radio],[type=button],[type=submit])'))
    || [...region.querySelectorAll('input,textarea,select')].some(typed)
    || !!region.querySelector('dialog[open],details.drop[open]')
    || (!picked.isCollapsed && region.contains(picked.anchorNode));
}

function typed(field) {
  if (field.type === 'hidden') return false;
  if (field.type === 'checkbox' || field.type === 'radio') return field.checked !== field.defaultChecked;
  if (field.tagName !== 'SELECT') return field.value !== field.defaultValue;
  const options = [...field.options], chosen = options.filter(one => one.defaultSelected);
  return options.some(one => one.selected !== (chosen.length || field.multiple ? one.defaultSelected : one === options[0]));
}

function note(region) {
  if (region.querySelector(':scope > .live-note')) return;
  const made = document.createElement('p');
  made.className = 'live-note';
  made.setAttribute('role', 'status');
  const button = made.appendChild(document.createElement('button'));
  button.type = 'button';
  button.textContent = bar.dataset.updated;
  region.prepend(made);
}
document.addEventListener('click', event => {
  const region = event.target.closest?.('.live-note')?.parentElement;
  if (region) swap(region, stateOf(region).html);
});
for (const name of ['focusout', 'close', 'reset', 'toggle', 'selectionchange'])
  document.addEventListener(name, () => setTimeout(settle), true);
function settle() {
  for (const region of regions()) {
    const state = stateOf(region);
    if (state.waits && !busy(region)) { state.waits = false; swap(region, state.html); }
  }
}

const marked = element => element.id ? `#${CSS.escape(element.id)}`
  : ['name', 'href', 'data-key'].filter(name => element.hasAttribute(name)).map(name => `${element.localName}[${name}="${CSS.escape(element.getAttribute(name))}"]`)[0];

function swap(region, html) {
  const template = document.createElement('template');
  template.innerHTML = html;
  const [first] = template.content.children, alone = template.content.childElementCount === 1 && first.hasAttribute('data-live');
  // the region itself, alone or on its whole page; or only what is in it
  const only = alone ? first : [...template.content.querySelectorAll('[data-live]')].find(one => one.dataset.src === region.dataset.src);
  const made = only ?? template.content;
  if (only) for (const name of ['data-live', 'data-src', 'class']) only.hasAttribute(name) ? region.setAttribute(name, only.getAttribute(name)) : region.removeAttribute(name);
  const active = region.contains(document.activeElement) && document.activeElement !== region ? marked(document.activeElement) : null;
  const opened = [...region.querySelectorAll('details[id][open]')].map(one => one.id);
  const scrolled = [region, ...region.querySelectorAll('[id]')].filter(one => one.scrollTop || one.scrollLeft).map(one => [one.id, one.scrollTop, one.scrollLeft]);
  const at = [scrollX, scrollY];
  for (const slot of made.querySelectorAll('[data-keep]')) {  // what draws itself (a chart) stays as it is
    const old = region.querySelector(`[data-keep="${CSS.escape(slot.dataset.keep)}"]`);
    if (old) slot.replaceWith(old);
  }
  region.replaceChildren(...made.childNodes);
  for (const id of opened) region.querySelector(`#${CSS.escape(id)}`)?.setAttribute('open', '');
  for (const [id, top, left] of scrolled) (id === region.id ? region : region.querySelector(`#${CSS.escape(id)}`))?.scrollTo(left, top);
  if (active) region.querySelector(active)?.focus({preventScroll: true});
  scrollTo(...at);
  stateOf(region).waits = false;
  if (offline) off();
  region.dispatchEvent(new CustomEvent('live:swapped', {bubbles: true}));
}

// --- offline: said, and nothing is sent, now or later

let offline = false;
const senders = () => document.querySelectorAll('form[method=post] :is(button:not([type=button]),input[type=submit])');
function off() { for (const one of senders()) if (!one.disabled) { one.disabled = true; one.dataset.offline = ''; } }
function setOffline(word) {
  offline = !!word;
  say(word ? bar.dataset[word] : '');
  if (offline) return off();
  for (const one of document.querySelectorAll('[data-offline]:is(button,input)')) { one.disabled = false; delete one.dataset.offline; }
  for (const region of regions()) if (stateOf(region).stale) schedule(region, stateOf(region).at, CHANGES);
}
document.addEventListener('submit', event => {
  if (!offline || event.target.method !== 'post') return;
  event.preventDefault();
  event.stopImmediatePropagation();
  bar.classList.remove('live-again');
  requestAnimationFrame(() => bar.classList.add('live-again'));
}, true);

function say(text, link) {
  bar.textContent = text;
  bar.hidden = !text;
  if (!link) return;
  const made = bar.appendChild(document.createElement('a'));
  Object.assign(made, {href: link, target: '_blank', textContent: bar.dataset.signIn});
}

let over = false;
function ended(why) {
  over = true;
  const back = location.pathname + location.search;
  say(bar.dataset.ended, `/login?${new URLSearchParams({why, back})}`);
}

// --- what the stream says

let seen = Number(bar?.dataset.at ?? 0), polling;
function told({name, at, data}) {
  if (name === 'changed') {
    const topics = data.split(' '), gap = topics.every(one => kindOf(one) === 'zone') ? VALUES : CHANGES;
    for (const region of regions()) if (about(region, topics)) schedule(region, at, gap);
  } else if (name === 'resync') all(at);
  else if (name === 'ended') return ended(data);
  else {  // open, lost or blocked: what the connection is
    clearInterval(polling);
    if (over) { over = name !== 'open'; if (over) return; }
    setOffline(name === 'lost' ? 'lost' : navigator.onLine ? '' : 'offline');
    if (name === 'blocked') polling = setInterval(() => all(Date.now()), BLOCKED);
    return;
  }
  seen = Math.max(seen, at);
}
const all = at => { for (const region of regions()) schedule(region, at, VALUES); };
// data-renew: seconds after which what grows old by itself (ages, what is overdue) is read again though nothing has changed
for (const region of regions().filter(one => one.dataset.renew)) setInterval(() => schedule(region, 0, VALUES), region.dataset.renew * 1_000);

// --- one stream for all tabs

function sharedByWorker(key) {
  const worker = new SharedWorker(new URL('./live-worker.js', import.meta.url), {name: key, type: 'module'});
  worker.port.onmessage = event => told(event.data);
  worker.onerror = () => {  // a browser that has shared workers, but not of modules
    shared = sharing(key, false);
    if (joined) shared.join(seen);
  };
  const say = what => worker.port.postMessage(what);
  setInterval(() => joined && say({}), 30_000);
  return {join: since => say({since}), leave: () => say({leave: true}), again: () => say({again: true})};
}

function sharedByLock(key) {  // phones: the tab that holds the lock has the stream and tells the others
  const channel = new BroadcastChannel(key), me = crypto.randomUUID();
  const stream = new LiveStream(one => { channel.postMessage(one); told(one); });
  let release, asked;
  channel.onmessage = ({data}) => {
    if (data.join && stream.source) for (const one of stream.missed(data.join)) channel.postMessage({...one, to: data.me});
    else if (data.name && (data.to ?? me) === me && joined) told(data);
  };
  return {
    join(since) {
      asked = new AbortController();
      channel.postMessage({join: since, me});
      navigator.locks.request(key, {signal: asked.signal}, () => new Promise(done => { release = done; stream.open(seen || since); })).catch(() => {});
    },
    leave() { asked?.abort(); stream.close(); release?.(); release = undefined; },
    again() { stream.again(); },
  };
}

function alone() {
  const stream = new LiveStream(told);
  return {join: since => stream.open(since), leave: () => stream.close(), again: () => stream.again()};
}

function sharing(key, worker = !!window.SharedWorker) {
  const how = worker ? sharedByWorker : navigator.locks && window.BroadcastChannel ? sharedByLock : alone;
  return how(key);
}

let joined = false, leaving, shared;
function join() { clearTimeout(leaving); if (!joined) { joined = true; shared.join(seen); } }
function leave() { clearTimeout(leaving); if (joined) { joined = false; shared.leave(); } }

if (bar) {
  shared = sharing(`lotwise-live-${bar.dataset.session}`);
  if (!document.hidden) join();
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) { leaving = setTimeout(leave, HIDDEN); return; }
    if (over) leave();  // signed in again meanwhile, in another tab
    join();
    for (const region of regions()) if (stateOf(region).stale) schedule(region, stateOf(region).at, CHANGES);
  });
  addEventListener('pagehide', leave);
  addEventListener('pageshow', event => { if (event.persisted) join(); });
  addEventListener('offline', () => setOffline('offline'));
  addEventListener('online', () => { setOffline(''); shared.again(); });
  if (!navigator.onLine) setOffline('offline');
}
