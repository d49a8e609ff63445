// Charts: every `[data-chart]` of a page is filled from its document, drawn by ECharts, which is loaded only then.
// Its window is moved by dragging, pinching, Ctrl and wheel, buttons and keys; finer data follow by themselves.

import { layout, lineOf, option } from './chart-draw.js';

const charts = new Map();
let engine;

const load = address => (engine ??= import(address).then(found => found.echarts));

class Chart {
  constructor(figure) {
    this.figure = figure;
    this.address = new URL(figure.dataset.chart, location.href);
    this.plot = figure.querySelector('.chart-plot');
    this.said = figure.querySelector('.chart-said');
    this.resizing = new ResizeObserver(() => this.draw());
    this.asked = 0;
  }

  async start() {
    const late = setTimeout(() => this.say('wait'), 400), later = setTimeout(() => this.say('late'), 3000);
    this.figure.setAttribute('aria-busy', 'true');
    try {
      const [found, doc] = await Promise.all([load(this.figure.dataset.engine), this.fetch(this.address)]);
      if (!this.figure.isConnected) return;
      this.echarts = found;
      this.said.remove();
      this.dress(doc);
      this.show(doc);
      this.resizing.observe(this.plot);
    } catch (error) {
      this.say('failed');
      console.error('chart', this.address.pathname, error);
    } finally {
      clearTimeout(late);
      clearTimeout(later);
      this.figure.removeAttribute('aria-busy');
    }
  }

  say(what) { this.said.textContent = this.said.dataset[what]; }

  async fetch(address) {
    address.searchParams.set('width', String(Math.round(this.plot.clientWidth || 800)));
    const answer = await fetch(address, { headers: { Accept: 'application/json' } });
    if (!answer.ok || answer.redirected) throw new Error(`${answer.status} ${address.pathname}`);
    return answer.json();
  }

  show(doc) {
    this.doc = doc;
    this.view ??= this.opening(doc);
    this.loaded = { start: doc.axis.start, stop: doc.axis.stop };
    this.plot.setAttribute('aria-label', doc.description);
    this.draw();
  }

  // On a narrow screen the newest part, but never without the hours that decide.
  opening({ axis }) {
    const whole = axis.stop - axis.start;
    if (this.plot.clientWidth >= 560) return { start: axis.start, stop: axis.stop };
    const newest = axis.stop - whole * 0.6;
    return { start: Math.max(axis.start, Math.min(newest, axis.focus ? axis.focus[0] - whole * 0.04 : newest)), stop: axis.stop };
  }

  draw() {
    const width = this.plot.clientWidth;
    if (!this.doc || !width) return;
    const at = layout(this.doc, width, getComputedStyle(this.plot).fontFamily);
    if (this.at?.height !== at.height) this.plot.style.height = `${at.height}px`;
    this.at = at;
    if (!this.chart) {
      this.chart = this.echarts.init(this.plot, null, { renderer: 'svg', width, height: at.height });
      this.chart.on('datazoom', () => this.zoomed());
      this.plot.querySelector('svg')?.setAttribute('aria-hidden', 'true');
    } else this.chart.resize({ width, height: at.height });
    this.chart.setOption(option(this.doc, at, this.view), { notMerge: true });
    this.figure.dataset.drawn = `${this.view.start}-${this.view.stop}`;
  }

  zoomed() {
    const [{ startValue, endValue }] = this.chart.getOption().dataZoom;
    this.view = { start: Math.round(startValue), stop: Math.round(endValue) };
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.refine(), 180);
  }

  // Moves the window, within what there is.
  move(start, stop) {
    const { first, last } = this.doc.axis, span = Math.min(Math.max(stop - start, 60e3), last - first);
    const from = Math.min(Math.max(start, first), last - span);
    this.view = { start: from, stop: from + span };
    this.chart.dispatchAction({ type: 'dataZoom', startValue: this.view.start, endValue: this.view.stop });
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.refine(), 120);
  }

  // Asks for what the window lacks, with half a window on either side; the newest answer counts.
  async refine() {
    const { start, stop } = this.view, span = stop - start, { first, last } = this.doc.axis, had = this.loaded;
    const enough = start >= Math.min(had.start, Math.max(start, first)) && stop <= had.stop && had.stop - had.start <= span * 2.5 && had.start <= start;
    if (enough) { this.draw(); return; }
    const number = (this.asked += 1), address = new URL(this.address);
    address.searchParams.set('from', new Date(Math.max(start - span / 2, first)).toISOString());
    address.searchParams.set('to', new Date(Math.min(stop + span / 2, last)).toISOString());
    this.figure.setAttribute('aria-busy', 'true');
    try {
      const doc = await this.fetch(address);
      if (number === this.asked) this.show({ ...doc, axis: { ...doc.axis, first, last, focus: this.doc.axis.focus } });
    } catch (error) {
      console.error('chart', error);
    } finally {
      this.figure.removeAttribute('aria-busy');
    }
  }

  dress(doc) {
    const { plot, figure } = this;
    plot.tabIndex = 0;
    plot.setAttribute('role', 'group');
    plot.addEventListener('keydown', event => this.key(event));
    figure.addEventListener('click', event => {
      const act = event.target.closest('[data-chart-act]')?.dataset.chartAct;
      if (act) { event.preventDefault(); this.act(act); }
    });
    for (const one of figure.querySelectorAll('[data-chart-act]')) one.hidden = false;
    figure.querySelector('.key').replaceWith(key(doc));
  }

  key(event) {
    const act = { ArrowLeft: 'earlier', ArrowRight: 'later', '+': 'nearer', '=': 'nearer', '-': 'wider', Home: 'first', End: 'last', 0: 'back', Escape: 'back' }[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.act(act);
  }

  act(name) {
    const { start, stop } = this.view, span = stop - start, { axis } = this.doc;
    switch (name) {
      case 'earlier': return this.move(start - span / 4, stop - span / 4);
      case 'later': return this.move(start + span / 4, stop + span / 4);
      case 'nearer': return this.move(start + span / 4, stop - span / 4);
      case 'wider': return this.move(start - span / 2, stop + span / 2);
      case 'first': return this.move(axis.first, axis.first + span);
      case 'last': return this.move(axis.last - span, axis.last);
      case 'all': return this.move(axis.first, axis.last);
      default: this.view = undefined; return this.again();
    }
  }

  async again() { this.show(await this.fetch(this.address)); }

  stop() {
    this.resizing.disconnect();
    clearTimeout(this.waiting);
    this.chart?.dispose();
  }
}

// --- the key beneath: what is drawn, and nothing else

const SVG = 'http://www.w3.org/2000/svg';

function key(doc) {
  const list = Object.assign(document.createElement('div'), { className: 'key' });
  const shape = (tag, attributes) => {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  };
  const add = (word, ...shapes) => {
    const entry = document.createElement('span'), drawn = shape('svg', { 'aria-hidden': 'true' });
    drawn.append(...shapes);
    entry.append(drawn, word);
    list.append(entry);
  };
  const bar = kind => shape('rect', { class: `bar-${kind}`, y: 1, width: 22, height: 10 });
  const has = kind => doc.rows.some(row => row.spans.some(span => span.kind === kind)) || doc.shades.some(shade => shade.kind === kind);
  const { words } = doc;
  new Map(doc.curves.map((curve, index) => [curve.label, lineOf(curve, index)])).forEach((look, label) =>
    add(label, shape('path', { d: 'M0 6h22', class: look.color === 'accent' ? 'ln' : look.color === 'ink-3' ? 'ln ln-2' : 'ln ln-unsure', 'stroke-dasharray': (look.type ?? []).join(' ') })));
  if (doc.curves.some(curve => curve.high)) add(words.envelope, shape('rect', { class: 'band', y: 1, width: 22, height: 10 }));
  if (has('proven')) add(words.proven, bar('proven'));
  if (has('uncertain') || doc.curves.some(curve => curve.uncertain.length)) add(words.uncertain, bar('unsure'));
  if (has('unproven')) add(words.unproven, bar('worst'));
  if (doc.bounds.some(bound => bound.kind === 'limit')) add(words.limit, shape('path', { class: 'lim', d: 'M0 6h22' }));
  if (doc.bounds.some(bound => bound.kind === 'band')) add(words.band, shape('path', { class: 'lim lim-2', d: 'M0 6h22' }));
  if (doc.instants.some(mark => mark.kind !== 'hold')) add(words.broke, shape('path', { class: 'dot-harm', d: 'M8-1h6l4 4v6l-4 4h-6l-4-4v-6z' }));
  if (has('held')) add(words.held, shape('rect', { class: 'lane-held', y: 1, width: 22, height: 10, rx: 2 }));
  const marks = doc.rows.flatMap(row => row.marks.map(mark => mark.kind));
  if (marks.includes('signature')) add(words.signature, shape('circle', { class: 'dot-sig', cx: 11, cy: 6, r: 4.5 }));
  if (marks.includes('document')) add(words.document, shape('rect', { class: 'dot', x: 7, width: 8, height: 12 }));
  return list;
}

// --- which charts there are: those of the page, and those that a live region brings or takes away

const near = new IntersectionObserver(seen => {
  for (const { isIntersecting, target } of seen) {
    if (!isIntersecting) continue;
    near.unobserve(target);
    charts.get(target)?.start();
  }
}, { rootMargin: '300px' });

function look() {
  for (const [figure, chart] of charts) if (!figure.isConnected) { chart.stop(); charts.delete(figure); }
  for (const figure of document.querySelectorAll('[data-chart]')) {
    if (charts.has(figure)) continue;
    charts.set(figure, new Chart(figure));
    near.observe(figure);
  }
}

look();
new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
