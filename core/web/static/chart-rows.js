// What goes beneath the curves: the budget, rows of bars and marks, the time axis.

import { clamp } from './chart-curves.js';
import { ON, Places, bar, ink, line, path, symbol } from './chart-marks.js';

export function budget({ label, allowed, at: instants, left, notes }, at, map, { made, places, say }) {
  const { top, bottom } = at.steps, least = Math.min(...left), floor = least > allowed / 2 ? allowed / 2 : 0;
  const y = rest => bottom - ((bottom - top) * (rest - floor)) / (allowed - floor);
  for (const value of [floor, (floor + allowed) / 2, allowed]) {
    made.push(line(at.left, y(value), at.right, y(value), { stroke: ink('line'), lineWidth: 1 }));
    say(String(+value.toFixed(1)), at.left - 6, y(value), { align: 'right', halo: false });
  }
  const head = at.narrow ? { x: at.left, align: 'left' } : { x: at.left - 6, align: 'right' };
  say(label, head.x, top - 13, { weight: 620, fill: 'ink', align: head.align, halo: false });
  const points = instants.map((instant, i) => `${clamp(map.x(instant), at.left, at.right)} ${y(left[i])}`);
  made.push(path(`M${points.join('L')}`, { stroke: ink(least > 0 ? 'ink' : 'harm'), lineWidth: 1.75 }));
  for (const note of notes) {
    const x = map.x(note.at), high = y(note.value);
    if (x < at.left || x > at.right) continue;
    const spots = [{ x: x + 8, y: high - 9, align: 'left' }, { x: x - 8, y: high + 10, align: 'right' }, { x: x + 8, y: high + 10, align: 'left' }];
    const spot = places.put(note.label, 400, spots, at);
    if (spot) say(note.label, spot.x, spot.y, { align: spot.align });
  }
}

export function rows(at, map, pen) {
  for (const { row, top, bar: y, high } of at.rows) {
    name(row, top, y + high / 2, at, pen);
    if (row.heading) continue;
    pen.made.push(line(at.left, y + high + 2.5, at.right, y + high + 2.5, { stroke: ink('line'), lineWidth: 1 }));
    const seen = row.spans
      .map(span => ({ ...span, a: Math.max(map.x(span.start), at.left), b: Math.min(map.x(span.stop), at.right) }))
      .filter(({ a, b }) => a <= b && a <= at.right && b >= at.left);
    for (const { kind, a, b } of seen) {
      pen.made.push(...bar(kind, a, y, b - a, high));
      pen.places.take(a, y, Math.max(b - a, 2), high);
    }
    for (const span of seen) barName(span, y + high / 2, at, pen);
    if (row.total && !at.narrow && seen.length) total(row.total, seen[0].a, y + high / 2, at, pen);
    marks(row.marks, y, high, at, map, pen);
  }
}

function name(row, top, middle, at, { places, say }) {
  if (row.heading) say(row.label, at.narrow ? 4 : 0, top + 12, { weight: 620, fill: 'ink', halo: false });
  else if (!at.narrow) say(places.cut(row.label, at.left - 8), 0, middle, { halo: false });
  else if (row.label) {
    const words = row.total ? `${row.label}: ${row.total}` : row.label;
    say(places.cut(words, at.right - 8, 620), 4, top + 8, { weight: row.total ? 620 : 400 });
  }
}

function barName({ kind, label, a, b }, middle, at, { places, say }) {
  if (!ON[kind] || !label) return;
  const on = { weight: 580, fill: ON[kind], halo: false };
  if (places.width(label, 580) < b - a - 10) return say(label, a + 6, middle, on);
  const spot = places.put(label, 400, [{ x: a - 4, y: middle, align: 'right' }, { x: b + 4, y: middle, align: 'left' }], at);
  if (spot) return say(label, spot.x, spot.y, { align: spot.align });
  const cut = places.cut(label, b - a - 12, 580);
  if (cut.length > 4) say(cut, a + 6, middle, on);
}

function total(words, first, middle, at, { places, say }) {
  const spot = places.put(words, 620, [{ x: first - 6, y: middle, align: 'right' }, { x: at.right, y: middle, align: 'right' }], at);
  if (spot) say(words, spot.x, spot.y, { weight: 620, fill: 'ink', align: spot.align });
}

function marks(found, y, high, at, map, { made, places, say }) {
  const middle = y + high / 2;
  const inside = found.map(mark => ({ ...mark, x: map.x(mark.at) })).filter(({ x }) => x >= at.left - 1 && x <= at.right + 1);
  for (const { x } of inside) places.take(x - 7, y, 14, high);
  for (const { kind, label, short, x } of inside) {
    made.push(symbol(kind, x, middle));
    for (const words of [label, short].filter(Boolean)) {
      const spot = places.put(words, 400, [{ x: x + 9, y: middle, align: 'left' }, { x: x - 9, y: middle, align: 'right' }], at);
      if (spot) say(words, spot.x, spot.y, { align: spot.align });
      if (spot) break;
    }
  }
}

// Clock times, and beneath them the days that begin; the place whose clocks they are at the edge.
export function axisLabels(doc, at, map, clock, { made, say }) {
  const y = at.axis, places = new Places(at.font), room = { left: at.narrow ? 2 : at.left - 16, right: at.right + 12 };
  made.push(line(at.left, y, at.right, y, { stroke: ink('edge'), lineWidth: 1 }));
  const put = (words, high, spots, style) => {
    const spot = places.put(words, 400, spots.map(one => ({ ...one, y: high })), room);
    if (spot) say(words, spot.x, high, { align: spot.align, halo: false, ...style });
  };
  for (const tick of clock.ticks(map.instant(at.left), map.instant(at.right), Math.max((at.right - at.left) / (at.narrow ? 62 : 84), 2))) {
    const x = map.x(tick.at), near = [{ x, align: 'center' }, { x, align: 'left' }, { x: at.right, align: 'right' }];
    made.push(line(x, y, x, y + (tick.midnight && tick.begins ? 9 : 4), { stroke: ink('edge'), lineWidth: 1 }));
    put(tick.text, y + 13, near.slice(0, x > at.right - 30 ? 3 : 2));
    if (tick.begins) put(tick.begins, y + 27, near);
  }
  const { place } = doc.axis;
  if (at.narrow) put(place, y + 27, [{ x: at.right, align: 'right' }], { fill: 'ink-3' });
  else say(places.cut(place, at.left - 18), 0, y + 13, { halo: false, fill: 'ink-3' });
}
