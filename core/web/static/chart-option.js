// From a chart's document and a view of it to what ECharts draws.

import { behind, curveLines, unsureLines } from './chart-curves.js';
import { axisLabels, budget, rows } from './chart-rows.js';
import { boundLines, curveNames, gapNames, instants } from './chart-labels.js';
import { Clock } from './chart-time.js';
import { Places, group, ink, text } from './chart-marks.js';
import { told } from './chart-told.js';

const NARROW = 560, LETTERS = 12, AXIS = 34, SLIDER = 26;

// Where everything stands, in pixels: by the width and the document, never by the view, so that nothing jumps.
export function layout(doc, width, family) {
  const font = `${LETTERS}px ${family}`, pen = new Places(font), narrow = width < NARROW;
  const widest = Math.max(
    pen.width(doc.axis.place) + 18,
    doc.steps ? pen.width(doc.steps.label, 620) + 12 : 0,
    ...doc.rows.map(row => pen.width(row.label, row.heading ? 620 : 400) + 12));
  const left = narrow ? 40 : Math.min(Math.max(widest, 64), 168), right = width - 14;
  const top = doc.instants.length > 1 ? 38 : doc.instants.length ? 22 : 18;
  const main = { top, bottom: top + (narrow ? 200 : 240) };
  let y = main.bottom + 12;
  const steps = doc.steps ? { top: y + 14, bottom: y + 74 } : null;
  if (steps) y = steps.bottom + 10;
  const lines = doc.rows.map(row => {
    const two = narrow && !row.heading && row.label; // on a phone a label stands above its bars
    const made = { row, top: y, bar: two ? y + 17 : y + 3, high: 14 };
    y += two ? 33 : row.heading ? 24 : 20;
    return made;
  });
  const axis = y + 4, slider = axis + AXIS + 4;
  return { width, font, narrow, left, right, main, steps, rows: lines, axis, slider, height: slider + SLIDER + 4 };
}

export function option(doc, at, view) {
  const clock = new Clock(doc.axis, doc.language), scale = valueScale(doc, view);
  const number = new Intl.NumberFormat(locale(doc), { minimumFractionDigits: scale.digits, maximumFractionDigits: scale.digits });
  const bare = { axisLine: { show: false }, axisTick: { show: false } };
  const drawn = (id, z, draw) => ({
    id, z, type: 'custom', silent: true, clip: false, animation: false, data: [[doc.axis.first, scale.min]],
    renderItem: (_, api) => group(draw(mapping(api, doc, scale))),
  });
  return {
    animation: false,
    textStyle: { fontFamily: at.font.slice(at.font.indexOf(' ') + 1), fontSize: LETTERS },
    grid: { left: at.left, right: at.width - at.right, top: at.main.top, height: at.main.bottom - at.main.top },
    xAxis: {
      type: 'value', min: doc.axis.first, max: doc.axis.last, ...bare,
      axisLabel: { show: false }, splitLine: { show: false }, axisPointer: POINTER,
    },
    yAxis: {
      type: 'value', min: scale.min, max: scale.max, interval: scale.step, ...bare, splitLine: { lineStyle: { color: ink('line') } },
      axisLabel: { color: ink('ink-2'), fontSize: LETTERS, margin: 6, formatter: value => number.format(value).replace('-', '−') },
    },
    dataZoom: zooms(at, view),
    tooltip: tooltip(doc, clock, scale.digits),
    series: [
      drawn('behind', 0, map => behind(doc, at, map)),
      ...curveLines(doc.curves),
      drawn('before', 5, map => before(doc, at, map, clock)),
    ],
  };
}

export const locale = doc => (doc.language === 'zh' ? 'zh-CN' : 'en-GB');

const POINTER = { show: true, type: 'line', snap: false, label: { show: false }, lineStyle: { color: ink('ink-3'), type: 'solid', width: 1 } };

function zooms(at, view) {
  const both = { xAxisIndex: 0, filterMode: 'none', startValue: view.start, endValue: view.stop, minValueSpan: 60e3, throttle: 40 };
  const handle = { color: ink('surface'), borderColor: ink('edge') };
  return [
    // a wheel scrolls the page, with Ctrl it zooms; a finger moves the chart sideways, and the page up and down
    { id: 'inside', type: 'inside', zoomOnMouseWheel: 'ctrl', moveOnMouseWheel: false, preventDefaultMouseMove: false, ...both },
    {
      id: 'slider', type: 'slider', left: at.left, right: at.width - at.right, top: at.slider, height: SLIDER - 6,
      showDataShadow: false, brushSelect: false, showDetail: false, moveHandleSize: 0, handleSize: '100%', handleStyle: handle,
      backgroundColor: ink('sunk'), fillerColor: ink('accent-soft'), borderColor: ink('line'),
      emphasis: { handleStyle: { ...handle, borderColor: ink('accent') } }, ...both,
    },
  ];
}

function tooltip(doc, clock, digits) {
  const rich = { b: { fontWeight: 'bold', color: ink('ink'), fontSize: LETTERS }, m: { color: ink('ink-2'), fontSize: LETTERS } };
  return {
    // as text of the drawing: a tooltip of HTML carries styles that the policy refuses
    renderMode: 'richText', trigger: 'axis', confine: true, transitionDuration: 0, padding: [8, 10],
    backgroundColor: ink('surface'), borderColor: ink('edge'), borderWidth: 1,
    textStyle: { color: ink('ink'), fontSize: LETTERS, rich },
    formatter: found => told(doc, clock, found[0]?.axisValue, digits),
  };
}

// Room for what was measured in the view and for the bounds near it; those that are not are told at the edge.
export function valueScale(doc, view) {
  let low = Infinity, high = -Infinity;
  for (const curve of doc.curves) {
    const top = curve.high ?? curve.low, step = curve.step ?? 0;
    for (let i = 0; i < curve.at.length; i += 1) {
      if (curve.at[i] + step < view.start || curve.at[i] > view.stop) continue;
      low = Math.min(low, curve.low[i]);
      high = Math.max(high, top[i]);
    }
  }
  const values = doc.bounds.map(bound => bound.value);
  if (low > high) [low, high] = values.length ? [Math.min(...values), Math.max(...values)] : [0, 10];
  const near = Math.max((high - low) * 0.8, 4), [from, to] = [low - near, high + near];
  for (const { value, broken } of doc.bounds) {
    if (!broken && (value < from || value > to)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const room = Math.max((high - low) * 0.08, 0.25), steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500];
  const step = steps.find(one => (high - low + 2 * room) / one <= 7) ?? 10 ** Math.ceil(Math.log10((high - low) / 5));
  return { min: Math.floor((low - room) / step) * step, max: Math.ceil((high + room) / step) * step, step, digits: step < 1 ? 1 : 0 };
}

// Between instants and values and pixels, as ECharts has the axes now.
function mapping(api, { axis }, scale) {
  const [x0, y0] = api.coord([axis.first, scale.min]), [x1, y1] = api.coord([axis.last, scale.max]);
  const perX = (x1 - x0) / (axis.last - axis.first), perY = (y1 - y0) / (scale.max - scale.min);
  return {
    x: instant => x0 + (instant - axis.first) * perX,
    y: value => y0 + (value - scale.min) * perY,
    instant: x => axis.first + (x - x0) / perX,
  };
}

// What lies before the curves. Labels are put one after another, the most important first: each where it is free, or not at all.
function before(doc, at, map, clock) {
  const made = [], places = new Places(at.font);
  const pen = { made, places, say: (words, x, y, style = {}) => made.push(text(words, x, y, { font: at.font, ...style })) };
  made.push(...unsureLines(doc, at, map));
  const symbols = instants(doc, at, map, pen);
  boundLines(doc, at, map, pen);
  gapNames(doc, at, map, pen);
  curveNames(doc, at, map, pen);
  if (doc.steps) budget(doc.steps, at, map, pen);
  rows(at, map, pen);
  axisLabels(doc, at, map, clock, pen);
  pen.say(doc.unit, at.left - 6, Math.max(at.main.top - 16, 7), { weight: 620, fill: 'ink', align: 'right' });
  return [...made, ...symbols];
}
