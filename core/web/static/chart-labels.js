// What is written into the curves: instants, limits, gaps, the names of points.

import { clamp, lookOf } from './chart-curves.js';
import { ink, line, symbol } from './chart-marks.js';

const FIRST = ['broke', 'hold', 'excursion'];

// Lines and labels of what happened at an instant; gives the symbols, which lie on top of everything.
export function instants(doc, at, map, { made, places, say }) {
  const { top, bottom } = at.main, foot = at.axis;
  const inside = doc.instants
    .map(mark => ({ ...mark, x: map.x(mark.at), y: mark.value === null ? top - 11 : clamp(map.y(mark.value), top + 7, bottom - 7) }))
    .filter(mark => mark.x >= at.left - 1 && mark.x <= at.right + 1)
    .sort((a, b) => FIRST.indexOf(a.kind) - FIRST.indexOf(b.kind) || a.at - b.at);
  for (const { x, y, kind } of inside) {
    places.take(x - 8, y - 8, 16, 16);
    const harm = kind !== 'hold';
    if (kind !== 'excursion') made.unshift(line(x, top - 4, x, foot, { stroke: ink(harm ? 'harm' : 'ink'), lineWidth: harm ? 2 : 1.25 }));
  }
  for (const mark of inside) {
    const spots = (mark.kind === 'excursion' ? beside(mark) : above(mark, at)).filter(spot => spot.y > 6);
    for (const words of [mark.label, mark.short].filter(Boolean)) {
      const spot = places.put(words, 620, spots, at);
      if (spot) say(words, spot.x, spot.y, { weight: 620, fill: mark.kind === 'hold' ? 'ink' : 'harm', align: spot.align });
      if (spot) break;
    }
  }
  for (const { x, kind } of inside) if (kind !== 'excursion') places.take(x - 1, top, 2, bottom - top);
  const now = map.x(doc.axis.now);
  if (now > at.left && now < at.right - 1) made.unshift(line(now, top, now, foot, { stroke: ink('ink-3'), lineWidth: 1, lineDash: [1, 3] }));
  return inside.map(({ kind, x, y }) => symbol(kind, x, y));
}

const beside = ({ x, y }) => [{ x: x - 12, y, align: 'right' }, { x: x + 12, y, align: 'left' }, { x: x + 12, y: y - 15, align: 'left' }];

function above({ x }, at) {
  const low = at.main.top - 11, high = at.main.top - 27;
  const near = [low, high].flatMap(y => [{ x: x + 11, y, align: 'left' }, { x: x - 11, y, align: 'right' }]);
  return [...near, { x: at.right, y: high, align: 'right' }, { x: at.left, y: high, align: 'left' }];
}

export function boundLines(doc, at, map, { made, places, say }) {
  const { top, bottom } = at.main, middle = (at.left + at.right) / 2;
  for (const bound of doc.bounds) {
    const exact = map.y(bound.value), y = clamp(exact, top, bottom), harm = bound.kind === 'limit';
    const beyond = exact < top - 1 ? ' ↑' : exact > bottom + 1 ? ' ↓' : '';
    const style = harm ? { stroke: ink('harm'), lineWidth: 1.25, lineDash: [8, 4] } : { stroke: ink('ink-3'), lineWidth: 1, lineDash: [2, 3] };
    if (!beyond) made.unshift(line(at.left, y, at.right, y, style));
    const over = beyond ? beyond === ' ↓' : bound.high, sides = over ? [y - 9, y + 9] : [y + 9, y - 9];
    for (const words of (at.narrow ? [bound.short] : [bound.label, bound.short]).map(one => one + beyond)) {
      const spots = sides.flatMap(high => [
        { x: at.left + 8, y: high, align: 'left' }, { x: middle, y: high, align: 'center' }, { x: at.right - 4, y: high, align: 'right' }]);
      const spot = places.put(words, 620, clearest(spots, doc, map, places.width(words, 620)), at);
      if (spot) say(words, spot.x, spot.y, { weight: 620, fill: harm ? 'harm' : 'ink-2', align: spot.align });
      if (spot) break;
    }
  }
  for (const bound of doc.bounds) places.take(at.left, map.y(bound.value) - 1, at.right - at.left, 2);
}

export function gapNames(doc, at, map, { places, say }) {
  for (const shade of doc.shades) {
    const a = Math.max(map.x(shade.start), at.left), b = Math.min(map.x(shade.stop), at.right), y = at.main.bottom - 11;
    if (shade.kind !== 'unproven' || b - a < 2) continue;
    const outside = [{ x: b + 4, y, align: 'left' }, { x: a - 4, y, align: 'right' }];
    const inside = b - a > places.width(shade.label) + 8 ? [{ x: (a + b) / 2, y, align: 'center' }] : [];
    const spot = places.put(shade.label, 400, [...inside, ...outside], at);
    if (spot) say(shade.label, spot.x, spot.y, { align: spot.align });
  }
}

// Each point's name beside its curve, on the side where the others are not.
export function curveNames(doc, at, map, { places, say }) {
  if (doc.curves.length < 2) return;
  const named = new Set();
  doc.curves.forEach((curve, index) => {
    if (named.has(curve.label) || !curve.at.length) return;
    const upper = doc.curves.every(other => other === curve || !other.at.length || mean(other.low) <= mean(curve.low));
    const from = Math.max(map.x(curve.start), at.left) + 24, to = Math.min(map.x(curve.stop), at.right) - 24;
    const spots = [0.6, 0.4, 0.75, 0.25, 0.5, 0.1, 0.9].flatMap(share => {
      const x = from + (to - from) * share, i = Math.max(lastAt(curve.at, map.instant(x)), 0);
      const edge = upper ? map.y((curve.high ?? curve.low)[i]) : map.y(curve.low[i]);
      return [18, 28].map(away => ({ x, y: upper ? edge - away : edge + away, align: 'center' }));
    }).filter(spot => to > from && spot.y > at.main.top + 8 && spot.y < at.main.bottom - 8);
    const spot = places.put(curve.label, 400, clearest(spots, doc, map, places.width(curve.label)), at);
    if (!spot) return;
    named.add(curve.label);
    say(curve.label, spot.x, spot.y, { align: 'center', fill: lookOf(curve, index).color === 'accent' ? 'accent' : 'ink-2' });
  });
}

const mean = values => values.reduce((sum, value) => sum + value, 0) / values.length;

// The last index whose instant is not later.
export function lastAt(times, instant) {
  let low = 0, high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= instant) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

// The same places, those first through which no curve runs and where nothing is shaded.
function clearest(spots, doc, map, wide) {
  const covered = spot => {
    const left = spot.align === 'right' ? spot.x - wide : spot.align === 'center' ? spot.x - wide / 2 : spot.x;
    const from = map.instant(left), to = map.instant(left + wide);
    let under = 0, all = 1;
    for (const curve of doc.curves) {
      const top = curve.high ?? curve.low;
      for (let i = lastAt(curve.at, from) + 1; i < curve.at.length && curve.at[i] <= to; i += 1) {
        all += 1;
        if (map.y(top[i]) - 8 < spot.y && map.y(curve.low[i]) + 8 > spot.y) under += 1;
      }
    }
    const shaded = doc.shades.reduce((sum, one) => sum + Math.max(Math.min(one.stop, to) - Math.max(one.start, from), 0), 0);
    return under / all + (0.6 * shaded) / (to - from);
  };
  return spots.map(spot => [covered(spot), spot]).sort((a, b) => a[0] - b[0]).map(([, spot]) => spot);
}
