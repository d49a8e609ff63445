// From a chart's document to what ECharts draws: the geometry of one view of it. Every label stands alone or not at all.

import { Clock } from './chart-time.js';
import { Places, ON, bar, dots, group, hatch, ink, line, path, rect, symbol, text } from './chart-marks.js';

const NARROW = 560, LABEL = 12, AXIS = 34, SLIDER = 26;
const FIRST = ['broke', 'hold', 'excursion'];

// Where everything stands, in pixels: it depends on the width and the document, never on the view, so that nothing jumps.
export function layout(doc, width, family) {
  const font = `${LABEL}px ${family}`, pen = new Places(font), narrow = width < NARROW;
  const widest = Math.max(36, pen.width(doc.axis.place) + 18, ...doc.rows.map(row => pen.width(row.label, row.heading ? 620 : 400) + 12));
  const left = narrow ? 40 : Math.min(Math.max(widest, 64), 168), right = width - 14;
  const top = doc.instants.length > 1 ? 38 : doc.instants.length ? 22 : 10;
  const main = { top, bottom: top + (narrow ? 200 : 240) };
  let y = main.bottom + 12;
  const steps = doc.steps ? { top: y + 14, bottom: y + 74 } : null;
  if (steps) y = steps.bottom + 10;
  const rows = doc.rows.map(row => {
    const high = narrow && !row.heading ? 33 : row.heading ? 24 : 20;
    const made = { row, top: y, bar: narrow && !row.heading ? y + 17 : y + 3, high: 14 };
    y += high;
    return made;
  });
  const axis = y + 4;
  return { width, font, narrow, left, right, main, steps, rows, axis, slider: axis + AXIS + 4, height: axis + AXIS + SLIDER + 8 };
}

export function option(doc, at, view) {
  const clock = new Clock(doc.axis, doc.language);
  const scale = valueScale(doc, view);
  const grid = { left: at.left, right: at.width - at.right, top: at.main.top, height: at.main.bottom - at.main.top };
  const lines = doc.curves.flatMap((curve, index) => curveSeries(curve, index));
  const number = new Intl.NumberFormat(doc.language === 'zh' ? 'zh-CN' : 'en-GB', { minimumFractionDigits: scale.digits, maximumFractionDigits: scale.digits });
  const custom = (id, z, render) => ({
    id, z, type: 'custom', silent: true, clip: false, animation: false, data: [[doc.axis.first, scale.min]],
    renderItem: (params, api) => render(mapping(api, doc, scale)),
  });
  return {
    animation: false, useUTC: true, textStyle: { fontFamily: at.font.slice(at.font.indexOf(' ') + 1), fontSize: LABEL },
    grid: [grid],
    xAxis: [{ type: 'value', min: doc.axis.first, max: doc.axis.last, show: true, axisLine: { show: false }, axisTick: { show: false }, axisLabel: { show: false }, splitLine: { show: false }, axisPointer: pointer() }],
    yAxis: [{ type: 'value', min: scale.min, max: scale.max, interval: scale.step, axisLine: { show: false }, axisTick: { show: false }, splitLine: { lineStyle: { color: ink('line') } },
      axisLabel: { color: ink('ink-2'), fontSize: LABEL, margin: 6, formatter: value => number.format(value).replace('-', '−') } }],
    dataZoom: zooms(doc, at, view, clock),
    tooltip: {
      trigger: 'axis', renderMode: 'richText', confine: true, transitionDuration: 0, backgroundColor: ink('surface'), borderColor: ink('edge'), borderWidth: 1, padding: [8, 10],
      textStyle: { color: ink('ink'), fontSize: LABEL, rich: { b: { fontWeight: 'bold', color: ink('ink'), fontSize: LABEL }, m: { color: ink('ink-3'), fontSize: LABEL }, h: { color: ink('harm'), fontWeight: 'bold', fontSize: LABEL } } },
      formatter: found => told(doc, clock, found[0]?.axisValue ?? found[0]?.value[0], scale.digits),
    },
    series: [custom('back', 0, map => back(doc, at, map)), ...lines, custom('front', 5, map => front(doc, at, map, clock))],
  };
}

const pointer = () => ({ show: true, type: 'line', snap: false, label: { show: false }, lineStyle: { color: ink('ink-3'), type: 'solid', width: 1 }, triggerTooltip: true });

function zooms(doc, at, view, clock) {
  const both = { xAxisIndex: [0], filterMode: 'none', startValue: view.start, endValue: view.stop, minValueSpan: 60e3, throttle: 40 };
  return [
    { id: 'inside', type: 'inside', zoomOnMouseWheel: 'ctrl', moveOnMouseWheel: false, preventDefaultMouseMove: false, ...both },
    { id: 'slider', type: 'slider', left: at.left, right: at.width - at.right, top: at.slider, height: SLIDER - 6, showDataShadow: false, brushSelect: false, showDetail: false,
      backgroundColor: ink('sunk'), fillerColor: ink('accent-soft'), borderColor: ink('line'), handleSize: '100%', handleStyle: { color: ink('surface'), borderColor: ink('edge') },
      moveHandleSize: 0, emphasis: { handleStyle: { color: ink('surface'), borderColor: ink('accent') } }, labelFormatter: value => clock.text(value, 'day'), ...both },
  ];
}

// --- values

// Room for what was measured and for the bounds that lie near it; those that do not are told at the edge.
export function valueScale(doc, view) {
  let low = Infinity, high = -Infinity;
  for (const curve of doc.curves) {
    const top = curve.high ?? curve.low, last = curve.step ?? 0;
    for (let i = 0; i < curve.at.length; i += 1) {
      if (curve.at[i] + last < view.start || curve.at[i] > view.stop) continue;
      low = Math.min(low, curve.low[i]);
      high = Math.max(high, top[i]);
    }
  }
  const values = doc.bounds.map(bound => bound.value);
  if (low > high) [low, high] = values.length ? [Math.min(...values), Math.max(...values)] : [0, 10];
  const near = Math.max((high - low) * 0.8, 4);
  for (const bound of doc.bounds) {
    if (!bound.broken && (bound.value < low - near || bound.value > high + near)) continue;
    low = Math.min(low, bound.value);
    high = Math.max(high, bound.value);
  }
  const room = Math.max((high - low) * 0.08, 0.25);
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500].find(one => (high - low + 2 * room) / one <= 7) ?? 10 ** Math.ceil(Math.log10((high - low) / 5));
  return { min: Math.floor((low - room) / step) * step, max: Math.ceil((high + room) / step) * step, step, digits: step < 1 ? 1 : 0 };
}

function mapping(api, doc, scale) {
  const [x0, y0] = api.coord([doc.axis.first, scale.min]), [x1, y1] = api.coord([doc.axis.last, scale.max]);
  const perX = (x1 - x0) / (doc.axis.last - doc.axis.first), perY = (y1 - y0) / (scale.max - scale.min);
  return { ...scale, x: instant => x0 + (instant - doc.axis.first) * perX, y: value => y0 + (value - scale.min) * perY, instant: x => doc.axis.first + (x - x0) / perX };
}

// --- the curves

const LINES = [{ color: 'accent', width: 1.75 }, { color: 'ink-3', width: 1.25 }, { color: 'accent', width: 1.5, type: [7, 3] }, { color: 'ink-3', width: 1.25, type: [2, 2] }];
const DECLARED = { color: 'warn-mark', width: 1.5, type: [3, 3] };

export const lineOf = (curve, index) => curve.kind === 'declared' ? DECLARED : LINES[index % LINES.length];

function curveSeries(curve, index) {
  const { color, width, type } = lineOf(curve, index);
  const made = (id, values) => ({
    id: `${id}${index}`, type: 'line', z: 3, data: broken(curve, values), showSymbol: curve.at.length === 1, symbolSize: 4, connectNulls: false, silent: true, animation: false,
    lineStyle: { color: ink(color), width: curve.step ? Math.min(width, 1.25) : width, type: type ?? 'solid', join: 'round' }, itemStyle: { color: ink(color) }, emphasis: { disabled: true },
  });
  if (!curve.high) return [made('line', curve.low)];
  return curve.kind === 'required' ? [made('low', curve.low), made('high', curve.high)] : []; // one that stands in is a band only
}

// Where a column stands: in its middle.
const middleOf = (curve, i) => curve.at[i] + (curve.step ?? 0) / 2;

// Runs of indices without a gap between them: a gap lies between two that its middle lies between.
function pieces(curve) {
  const found = [];
  let piece = [], gap = 0;
  for (let i = 0; i < curve.at.length; i += 1) {
    let apart = false;
    for (; gap < curve.gaps.length && (curve.gaps[gap][0] + curve.gaps[gap][1]) / 2 < middleOf(curve, i); gap += 1) apart = true;
    if (apart && piece.length) { found.push(piece); piece = []; }
    piece.push(i);
  }
  if (piece.length) found.push(piece);
  return found;
}

const broken = (curve, values) => pieces(curve).flatMap(piece => [...piece.map(i => [middleOf(curve, i), values[i]]), [middleOf(curve, piece.at(-1)), null]]);

// --- behind the curves

function back(doc, at, map) {
  const { top, bottom } = at.main, children = [];
  const cut = (a, b) => [Math.max(map.x(a), at.left), Math.min(map.x(b), at.right)];
  const limit = doc.bounds.find(bound => bound.broken);
  for (const shade of doc.shades) {
    const [a, b] = cut(shade.start, shade.stop);
    if (b <= a) continue;
    const edge = limit ? Math.min(Math.max(map.y(limit.value), top), bottom) : bottom;
    const [from, to] = !limit || limit.high ? [top, edge] : [edge, bottom];
    if (shade.kind === 'uncertain') children.push(dots(a, from, b - a, to - from));
    if (shade.kind === 'unproven') children.push(hatch(a, top, b - a, bottom - top));
  }
  for (const curve of doc.curves) if (curve.high) children.push(envelope(curve, at, map));
  if (limit) children.push(outside(doc, limit, at, map));
  return group(children);
}

function envelope(curve, at, map) {
  const x = i => clamp(map.x(middleOf(curve, i)), at.left, at.right);
  const d = pieces(curve).filter(some => some.length > 1).map(some =>
    `M${some.map(i => `${x(i)} ${map.y(curve.high[i])}`).join('L')}L${some.slice().reverse().map(i => `${x(i)} ${map.y(curve.low[i])}`).join('L')}Z`).join('');
  return d && path(d, { fill: ink(curve.kind === 'required' ? 'accent' : 'ink-3'), opacity: curve.kind === 'required' ? 0.2 : 0.35 });
}

// The area between limit and curve while goods were out, proven: one path, so that two points do not add up.
function outside(doc, limit, at, map) {
  const base = map.y(limit.value), spans = doc.shades.filter(shade => shade.kind === 'proven');
  let d = '';
  for (const curve of doc.curves) {
    const values = limit.high ? curve.high ?? curve.low : curve.low, half = (curve.step ?? 0) / 2;
    for (const span of spans) {
      const points = [];
      for (let i = 0; i < curve.at.length; i += 1) {
        const instant = curve.at[i] + half;
        if (instant < span.start - half || instant > span.stop + half) continue;
        const y = limit.high ? Math.min(map.y(values[i]), base) : Math.max(map.y(values[i]), base);
        points.push([clamp(map.x(clamp(instant, span.start, span.stop)), at.left, at.right), y]);
      }
      if (points.length > 1) d += `M${points[0][0]} ${base}L${points.map(([x, y]) => `${x} ${y}`).join('L')}L${points.at(-1)[0]} ${base}Z`;
    }
  }
  return d && path(d, { fill: ink('harm'), opacity: 0.18 });
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// --- before them

function front(doc, at, map, clock) {
  const places = new Places(at.font), made = [];
  const say = (words, x, y, style = {}) => made.push(text(words, x, y, { font: at.font, ...style }));
  made.push(...uncertain(doc, at, map));
  const marks = instants(doc, at, map, places, say);
  bounds(doc, at, map, places, say, made);
  gaps(doc, at, map, places, say);
  names(doc, at, map, places, say);
  if (doc.steps) steps(doc.steps, at, map, places, say, made);
  rows(at, map, places, say, made);
  axis(doc, at, map, clock, say, made);
  say(doc.unit, at.left - 6, Math.max(at.main.top - 16, 7), { weight: 620, fill: 'ink', align: 'right' });
  return group([...marks.lines, ...made, ...marks.symbols]);
}

function uncertain(doc, at, map) {
  return doc.curves.flatMap(curve => curve.uncertain.map(([start, stop]) => {
    const values = curve.high ?? curve.low, half = (curve.step ?? 0) / 2, points = [];
    for (let i = 0; i < curve.at.length; i += 1)
      if (curve.at[i] + half >= start && curve.at[i] <= stop) points.push(`${clamp(map.x(curve.at[i] + half), at.left, at.right)} ${map.y(values[i])}`);
    return points.length > 1 && path(`M${points.join('L')}`, { stroke: ink('surface'), lineWidth: 3 }) && group([
      path(`M${points.join('L')}`, { stroke: ink('surface'), lineWidth: 3 }), path(`M${points.join('L')}`, { stroke: ink('warn-mark'), lineWidth: 2, lineDash: [3, 3] })]);
  }).filter(Boolean));
}

function instants(doc, at, map, places, say) {
  const lines = [], symbols = [], foot = at.axis;
  const inside = doc.instants.filter(mark => map.x(mark.at) >= at.left - 1 && map.x(mark.at) <= at.right + 1);
  inside.sort((a, b) => FIRST.indexOf(a.kind) - FIRST.indexOf(b.kind) || a.at - b.at);
  const heads = new Map(inside.map(mark => [mark, mark.value === null ? at.main.top - 11 : clamp(map.y(mark.value), at.main.top + 7, at.main.bottom - 7)]));
  for (const [mark, head] of heads) places.take(map.x(mark.at) - 8, head - 8, 16, 16);
  for (const mark of inside) {
    const x = map.x(mark.at), harm = mark.kind !== 'hold', head = heads.get(mark);
    if (mark.kind !== 'excursion') lines.push(line(x, at.main.top - 4, x, foot, { stroke: ink(harm ? 'harm' : 'ink'), lineWidth: harm ? 2 : 1.25 }));
    symbols.push(symbol(mark.kind, x, head));
    const high = at.main.top - 11, upper = at.main.top - 27;
    const spots = mark.kind === 'excursion'
      ? [{ x: x - 12, y: head, align: 'right' }, { x: x + 12, y: head, align: 'left' }, { x: x + 12, y: head - 15, align: 'left' }]
      : [high, upper].flatMap(y => [{ x: x + 11, y, align: 'left' }, { x: x - 11, y, align: 'right' }]).concat([{ x: at.right, y: upper, align: 'right' }, { x: at.left, y: upper, align: 'left' }]);
    const words = [mark.label, mark.short].find(one => {
      const spot = places.put(one, 620, spots.filter(each => each.y > 6), [at.left, at.right]);
      if (spot) say(one, spot.x, spot.y, { weight: 620, fill: harm ? 'harm' : 'ink', align: spot.align });
      return spot;
    });
    if (!words) continue;
  }
  for (const mark of inside) if (mark.kind !== 'excursion') places.take(map.x(mark.at) - 1, at.main.top, 2, at.main.bottom - at.main.top);
  const now = map.x(doc.axis.now);
  if (now > at.left && now < at.right - 1) lines.push(line(now, at.main.top, now, foot, { stroke: ink('ink-3'), lineWidth: 1, lineDash: [1, 3] }));
  return { lines, symbols };
}

function bounds(doc, at, map, places, say, made) {
  const middle = (at.left + at.right) / 2;
  for (const bound of doc.bounds) {
    const exact = map.y(bound.value), harm = bound.kind === 'limit', off = exact < at.main.top - 1 || exact > at.main.bottom + 1;
    const y = clamp(exact, at.main.top, at.main.bottom);
    if (!off) made.unshift(line(at.left, y, at.right, y, { stroke: ink(harm ? 'harm' : 'ink-3'), lineWidth: harm ? 1.25 : 1, lineDash: harm ? [8, 4] : [2, 3] }));
    const above = off ? exact > at.main.bottom : bound.high, edge = above ? y - 9 : y + 9;
    for (const words of at.narrow ? [bound.short] : [bound.label, bound.short]) {
      const said = off ? `${words} ${exact < at.main.top ? '↑' : '↓'}` : words;
      const spots = [edge, above ? y + 9 : y - 9].flatMap(high => [{ x: at.left + 8, y: high, align: 'left' }, { x: middle, y: high, align: 'center' }, { x: at.right - 4, y: high, align: 'right' }]);
      const spot = places.put(said, 620, clearest(spots, doc, map, places.width(said, 620)), [at.left, at.right]);
      if (!spot) continue;
      say(said, spot.x, spot.y, { weight: 620, fill: harm ? 'harm' : 'ink-2', align: spot.align });
      break;
    }
  }
  for (const bound of doc.bounds) places.take(at.left, map.y(bound.value) - 1, at.right - at.left, 2);
}

function gaps(doc, at, map, places, say) {
  for (const shade of doc.shades) {
    const a = Math.max(map.x(shade.start), at.left), b = Math.min(map.x(shade.stop), at.right), y = at.main.bottom - 11;
    if (shade.kind !== 'unproven' || b - a < 2) continue;
    const spots = [{ x: (a + b) / 2, y, align: 'center' }, { x: b + 4, y, align: 'left' }, { x: a - 4, y, align: 'right' }];
    const spot = places.put(shade.label, 400, spots.slice(b - a > places.width(shade.label) + 8 ? 0 : 1), [at.left, at.right]);
    if (spot) say(shade.label, spot.x, spot.y, { align: spot.align });
  }
}

// Places that no curve runs through come first.
function clearest(spots, doc, map, wide) {
  const crossed = spot => {
    const left = spot.align === 'right' ? spot.x - wide : spot.align === 'center' ? spot.x - wide / 2 : spot.x;
    const from = map.instant(left), to = map.instant(left + wide);
    let under = 0, all = 1;
    for (const curve of doc.curves) {
      const top = curve.high ?? curve.low;
      for (let i = 0; i < curve.at.length; i += 1) {
        if (curve.at[i] < from || curve.at[i] > to) continue;
        all += 1;
        if (map.y(top[i]) - 8 < spot.y && map.y(curve.low[i]) + 8 > spot.y) under += 1;
      }
    }
    const shaded = doc.shades.reduce((sum, shade) => sum + Math.max(Math.min(shade.stop, to) - Math.max(shade.start, from), 0), 0);
    return under / all + 0.6 * shaded / (to - from);
  };
  return spots.map(spot => [crossed(spot), spot]).sort((a, b) => a[0] - b[0]).map(([, spot]) => spot);
}

function names(doc, at, map, places, say) {
  if (doc.curves.length < 2) return;
  const seen = new Set();
  doc.curves.forEach((curve, index) => {
    if (seen.has(curve.label)) return;
    const top = curve.high ?? curve.low, upper = doc.curves.every(other => other === curve || !other.at.length || mean(other.low) <= mean(curve.low));
    const inside = curve.at.map((_, i) => i).filter(i => map.x(curve.at[i]) > at.left + 20 && map.x(curve.at[i]) < at.right - 20);
    const spots = [0.6, 0.4, 0.75, 0.25, 0.5, 0.1, 0.85].map(share => inside[Math.floor(inside.length * share)]).filter(i => i !== undefined)
      .flatMap(i => [18, 28].map(away => ({ x: map.x(curve.at[i]), y: upper ? map.y(top[i]) - away : map.y(curve.low[i]) + away, align: 'center' })))
      .filter(spot => spot.y > at.main.top + 8 && spot.y < at.main.bottom - 8);
    const spot = places.put(curve.label, 400, clearest(spots, doc, map, places.width(curve.label)), [at.left, at.right]);
    if (spot) { say(curve.label, spot.x, spot.y, { align: 'center', fill: lineOf(curve, index).color === 'accent' ? 'accent' : 'ink-2' }); seen.add(curve.label); }
  });
}

const mean = values => values.reduce((sum, value) => sum + value, 0) / values.length;

function steps(budget, at, map, places, say, made) {
  const { top, bottom } = at.steps, least = Math.min(...budget.left), floor = least > budget.allowed / 2 ? budget.allowed / 2 : 0;
  const y = left => bottom - (bottom - top) * ((left - floor) / (budget.allowed - floor));
  for (const value of [floor, (floor + budget.allowed) / 2, budget.allowed]) {
    made.push(line(at.left, y(value), at.right, y(value), { stroke: ink('line'), lineWidth: 1 }));
    say(String(+value.toFixed(1)), at.left - 6, y(value), { align: 'right', halo: false });
  }
  say(budget.label, at.narrow ? at.left : at.left - 6, top - 13, { weight: 620, fill: 'ink', align: at.narrow ? 'left' : 'right', halo: false });
  const points = budget.at.map((instant, i) => [clamp(map.x(instant), at.left, at.right), y(budget.left[i])]);
  made.push(path(`M${points.map(([x, high]) => `${x} ${high}`).join('L')}`, { stroke: ink(least > 0 ? 'ink' : 'harm'), lineWidth: 1.75 }));
  for (const note of budget.notes) {
    const x = map.x(note.at), high = y(note.value);
    if (x < at.left || x > at.right) continue;
    const spots = [{ x: x + 8, y: high - 9, align: 'left' }, { x: x - 8, y: high + 10, align: 'right' }, { x: x + 8, y: high + 10, align: 'left' }];
    const spot = places.put(note.label, 400, spots, [at.left, at.right]);
    if (spot) say(note.label, spot.x, spot.y, { align: spot.align });
  }
}

function rows(at, map, places, say, made) {
  for (const { row, top, bar: y, high } of at.rows) {
    const weight = row.heading ? 620 : 400, fill = row.heading ? 'ink' : 'ink-2', middle = y + high / 2;
    if (row.heading) { say(row.label, at.narrow ? 4 : 0, top + 12, { weight, fill, halo: false }); continue; }
    if (at.narrow) say(row.total ? `${row.label}: ${row.total}` : row.label, 4, top + 8, { weight: row.total ? 620 : 400, fill: 'ink-2', halo: false });
    else say(places.cut(row.label, at.left - 8), 0, middle, { fill, halo: false });
    made.push(line(at.left, y + high + 2.5, at.right, y + high + 2.5, { stroke: ink('line'), lineWidth: 1 }));
    let first = Infinity;
    for (const span of row.spans) {
      const a = Math.max(map.x(span.start), at.left), b = Math.min(map.x(span.stop), at.right);
      if (b < a || a > at.right || b < at.left) continue;
      first = Math.min(first, a);
      made.push(...bar(span.kind, a, y, b - a, high));
      places.take(a, y, b - a, high);
      if (!ON[span.kind] || !span.label) continue;
      if (places.width(span.label, 580) < b - a - 10) { say(span.label, a + 6, middle, { weight: 580, fill: ON[span.kind], halo: false }); continue; }
      const spot = places.put(span.label, 400, [{ x: a - 4, y: middle, align: 'right' }, { x: b + 4, y: middle, align: 'left' }], [at.left, at.right]);
      const cut = spot ? '' : places.cut(span.label, b - a - 12, 580);
      if (spot) say(span.label, spot.x, spot.y, { align: spot.align });
      else if (cut.length > 4) say(cut, a + 6, middle, { weight: 580, fill: ON[span.kind], halo: false });
    }
    if (row.total && !at.narrow && first < Infinity) {
      const spot = places.put(row.total, 620, [{ x: first - 6, y: middle, align: 'right' }, { x: at.right, y: middle, align: 'right' }], [at.left, at.right]);
      if (spot) say(row.total, spot.x, spot.y, { weight: 620, fill: 'ink', align: spot.align });
    }
    const inside = row.marks.filter(mark => map.x(mark.at) >= at.left - 1 && map.x(mark.at) <= at.right + 1);
    for (const mark of inside) places.take(map.x(mark.at) - 7, y, 14, high);
    for (const mark of inside) {
      const x = map.x(mark.at);
      made.push(symbol(mark.kind, x, middle));
      for (const words of [mark.label, mark.short]) {
        const spot = places.put(words, 400, [{ x: x + 9, y: middle, align: 'left' }, { x: x - 9, y: middle, align: 'right' }], [at.left, at.right]);
        if (spot) { say(words, spot.x, spot.y, { align: spot.align }); break; }
      }
    }
  }
}

function axis(doc, at, map, clock, say, made) {
  const y = at.axis, start = map.instant(at.left), stop = map.instant(at.right), wide = at.right - at.left;
  made.push(line(at.left, y, at.right, y, { stroke: ink('edge'), lineWidth: 1 }));
  const ticks = clock.ticks(start, stop, Math.max(wide / (at.narrow ? 62 : 84), 2)), pen = new Places(at.font);
  for (const tick of ticks) {
    const x = map.x(tick.at);
    made.push(line(x, y, x, y + (tick.midnight && tick.begins ? 9 : 4), { stroke: ink('edge'), lineWidth: 1 }));
    const put = (words, high, spots) => { const spot = pen.put(words, 400, spots.map(each => ({ ...each, y: high })), [at.narrow ? 2 : at.left - 16, at.right + 12]); if (spot) say(words, spot.x, high, { align: spot.align, halo: false }); };
    const near = [{ x, align: 'center' }, { x, align: 'left' }, { x: at.right, align: 'right' }];
    put(tick.text, y + 13, near.slice(0, x > at.right - 30 ? 3 : 2));
    if (tick.begins) put(tick.begins, y + 27, near);
  }
  const place = doc.axis.place, spot = at.narrow && pen.put(place, 400, [{ x: at.right, y: y + 27, align: 'right' }], [0, at.right]);
  if (!at.narrow) say(pen.cut(place, at.left - 18), 0, y + 13, { halo: false, fill: 'ink-3' });
  else if (spot) say(place, spot.x, spot.y, { align: 'right', halo: false, fill: 'ink-3' });
}

// --- what is told of an instant

const plain = words => words.replaceAll(/[{}|]/g, ' ');

export function told(doc, clock, instant, digits) {
  if (instant === undefined) return '';
  const number = new Intl.NumberFormat(doc.language === 'zh' ? 'zh-CN' : 'en-GB', { minimumFractionDigits: Math.max(digits, 1), maximumFractionDigits: 2 });
  const show = value => number.format(value).replace('-', '−'), words = doc.words;
  const lines = [`{b|${clock.text(instant, 'day')} ${clock.text(instant, 'second')}}`];
  for (const curve of doc.curves) {
    const i = lastAt(curve.at, instant), inGap = curve.gaps.some(([a, b]) => a <= instant && instant < b);
    if (instant < curve.start || instant >= curve.stop || (i < 0 && !inGap)) continue;
    if (inGap) { lines.push(`${plain(curve.label)}: ${words.gap_here}`); continue; }
    const value = curve.high && curve.high[i] !== curve.low[i] ? `${show(curve.low[i])} … ${show(curve.high[i])}` : show(curve.low[i]);
    const unsure = curve.uncertain.some(([a, b]) => a <= instant && instant < b) ? ` (${words.uncertain_here})` : '';
    lines.push(`${plain(curve.label)}: {b|${value} ${doc.unit}}${unsure}`);
  }
  for (const row of doc.rows) for (const span of row.spans)
    if (span.start <= instant && instant < span.stop) lines.push(`{m|${plain(row.label)}${span.label && ON[span.kind] ? `: ${plain(span.label)}` : ''}}`);
  return lines.slice(0, 10).join('\n');
}

function lastAt(times, instant) {
  let low = 0, high = times.length;
  while (low < high) { const middle = (low + high) >> 1; if (times[middle] <= instant) low = middle + 1; else high = middle; }
  return low - 1;
}
