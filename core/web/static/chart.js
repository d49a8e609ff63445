// Charts: every `[data-chart]` of a page is filled from its document, drawn by ECharts, which is loaded only then.
// Its window is moved by dragging, pinching, Ctrl and wheel, buttons and keys; finer data follow by themselves.

import { key } from './chart-key.js';
import { layout, option } from './chart-option.js';

const NARROW = 560, SHORTEST = 60e3, COARSE = 2.5;
const KEYS = {
  ArrowLeft: 'earlier', ArrowRight: 'later', '+': 'nearer', '=': 'nearer', '-': 'wider', Home: 'first', End: 'last', 0: 'back', Escape: 'back',
};
const charts = new Map();
let engine;

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
    const waits = [[400, 'wait'], [3000, 'late']].map(([after, what]) => setTimeout(() => this.say(what), after));
    this.figure.setAttribute('aria-busy', 'true');
    try {
      engine ??= import(this.figure.dataset.engine);
      const [{ echarts }, doc] = await Promise.all([engine, this.fetch(this.address)]);
      if (!this.figure.isConnected) return;
      this.echarts = echarts;
      this.said.remove();
      this.listen();
      this.show(doc);
      this.resizing.observe(this.plot);
    } catch (error) {
      this.say('failed');
      console.error('chart', this.address.pathname, error);
    } finally {
      waits.forEach(clearTimeout);
      this.figure.removeAttribute('aria-busy');
    }
  }

  say(what) { this.said.textContent = this.said.dataset[what]; }

  // Raises for what is no chart: a fault's page, or the sign-in to which a session that is over is led.
  async fetch(address) {
    address.searchParams.set('width', String(Math.round(this.plot.clientWidth || 800)));
    const answer = await fetch(address, { headers: { Accept: 'application/json' } });
    if (!answer.ok || answer.redirected) throw new Error(`${answer.status} ${answer.url}`);
    return answer.json();
  }

  show(doc) {
    this.doc = doc;
    this.view ??= this.opening(doc);
    this.plot.setAttribute('aria-label', doc.description);
    this.figure.querySelector('.key').replaceWith(key(doc));
    this.draw();
  }

  // On a narrow screen the newest part, but never without the hours that decide.
  opening({ axis: { start, stop, focus } }) {
    if (this.plot.clientWidth >= NARROW) return { start, stop };
    const newest = stop - (stop - start) * 0.6, decisive = focus ? focus[0] - (stop - start) * 0.04 : newest;
    return { start: Math.max(start, Math.min(newest, decisive)), stop };
  }

  draw() {
    const width = this.plot.clientWidth;
    if (!this.doc || !width) return;
    const at = layout(this.doc, width, getComputedStyle(this.plot).fontFamily);
    this.plot.style.height = `${at.height}px`;
    if (this.chart) this.chart.resize({ width, height: at.height });
    else {
      this.chart = this.echarts.init(this.plot, null, { renderer: 'svg', width, height: at.height });
      this.chart.on('datazoom', () => this.zoomed());
      this.plot.querySelector('svg').setAttribute('aria-hidden', 'true');
    }
    this.chart.setOption(option(this.doc, at, this.view), { notMerge: true });
    this.figure.dataset.drawn = `${this.view.start}-${this.view.stop}`;
  }

  // --- the window

  zoomed() {
    const [{ startValue, endValue }] = this.chart.getOption().dataZoom;
    this.view = { start: Math.round(startValue), stop: Math.round(endValue) };
    this.soon();
  }

  soon() {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.refine(), 150);
  }

  move(start, stop) {
    const { first, last } = this.doc.axis, span = Math.min(Math.max(stop - start, SHORTEST), last - first);
    const from = Math.round(Math.min(Math.max(start, first), last - span));
    this.view = { start: from, stop: from + span };
    this.chart.dispatchAction({ type: 'dataZoom', startValue: from, endValue: from + span });
    this.soon();
  }

  // Whether what is loaded lacks a part of the window, or is too coarse for it.
  lacking() {
    const { start, stop } = this.view, { axis, curves } = this.doc, coarse = axis.stop - axis.start > (stop - start) * COARSE;
    return start < axis.start || stop > axis.stop || (coarse && curves.some(curve => curve.step));
  }

  // Asks for it with half a window on either side; the newest answer counts.
  async refine() {
    if (!this.lacking()) { this.draw(); return; }
    const { start, stop } = this.view, half = (stop - start) / 2, { first, last, focus } = this.doc.axis;
    const number = (this.asked += 1), address = new URL(this.address);
    address.searchParams.set('from', new Date(Math.max(start - half, first)).toISOString());
    address.searchParams.set('to', new Date(Math.min(stop + half, last)).toISOString());
    this.figure.setAttribute('aria-busy', 'true');
    try {
      const doc = await this.fetch(address);
      if (number === this.asked) this.show({ ...doc, axis: { ...doc.axis, first, last, focus } });
    } catch (error) {
      console.error('chart', address.pathname, error);
    } finally {
      this.figure.removeAttribute('aria-busy');
    }
  }

  async act(name) {
    const { start, stop } = this.view, quarter = (stop - start) / 4, { first, last } = this.doc.axis;
    const to = {
      earlier: [start - quarter, stop - quarter], later: [start + quarter, stop + quarter],
      nearer: [start + quarter, stop - quarter], wider: [start - 2 * quarter, stop + 2 * quarter],
      first: [first, first + 4 * quarter], last: [last - 4 * quarter, last], all: [first, last],
    }[name];
    if (to) return this.move(...to);
    const doc = await this.fetch(new URL(this.address));
    this.view = undefined;
    return this.show(doc);
  }

  // --- keys and buttons

  listen() {
    this.plot.tabIndex = 0;
    this.plot.setAttribute('role', 'group');
    this.plot.addEventListener('keydown', event => {
      const act = KEYS[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      this.act(act);
    });
    for (const button of this.figure.querySelectorAll('[data-chart-act]')) {
      button.hidden = false;
      button.addEventListener('click', () => this.act(button.dataset.chartAct));
    }
  }

  stop() {
    this.resizing.disconnect();
    clearTimeout(this.waiting);
    this.chart?.dispose();
  }
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
  for (const [figure, chart] of charts) {
    if (figure.isConnected) continue;
    chart.stop();
    charts.delete(figure);
  }
  for (const figure of document.querySelectorAll('[data-chart]')) {
    if (charts.has(figure)) continue;
    charts.set(figure, new Chart(figure));
    near.observe(figure);
  }
}

look();
new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
