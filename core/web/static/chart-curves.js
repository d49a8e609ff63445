// Curves: lines, the band between least and greatest, what was out, what is uncertain or not known.

import { dots, group, hatch, ink, path } from './chart-marks.js';

const LOOKS = [
  { color: 'accent', width: 1.75 }, { color: 'ink-3', width: 1.25 },
  { color: 'accent', width: 1.5, type: [7, 3] }, { color: 'ink-3', width: 1.25, type: [2, 2] },
];
const DECLARED = { color: 'warn-mark', width: 1.5, type: [3, 3] };

export const lookOf = (curve, index) => (curve.kind === 'declared' ? DECLARED : LOOKS[index % LOOKS.length]);
export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// Where a reading stands, and a column: in its middle.
export const middleOf = (curve, i) => curve.at[i] + (curve.step ?? 0) / 2;

// Runs of indices without a gap between them: a gap lies between two that its middle lies between.
function pieces(curve) {
  const found = [];
  let piece = [], gap = 0;
  for (let i = 0; i < curve.at.length; i += 1) {
    let apart = false;
    for (; gap < curve.gaps.length && (curve.gaps[gap][0] + curve.gaps[gap][1]) / 2 < middleOf(curve, i); gap += 1) apart = true;
    if (apart && piece.length) {
      found.push(piece);
      piece = [];
    }
    piece.push(i);
  }
  return piece.length ? [...found, piece] : found;
}

const broken = (curve, values) =>
  pieces(curve).flatMap(piece => [...piece.map(i => [middleOf(curve, i), values[i]]), [middleOf(curve, piece.at(-1)), null]]);

export function curveLines(curves) {
  return curves.flatMap((curve, index) => {
    const { color, width, type } = lookOf(curve, index);
    const made = (id, values) => ({
      id: `${id}${index}`, type: 'line', z: 3, data: broken(curve, values), connectNulls: false, silent: true, animation: false,
      showSymbol: curve.at.length === 1, symbolSize: 4, itemStyle: { color: ink(color) }, emphasis: { disabled: true },
      lineStyle: { color: ink(color), width: curve.step ? Math.min(width, 1.25) : width, type: type ?? 'solid', join: 'round' },
    });
    if (!curve.high) return [made('line', curve.low)];
    // of one that only stands in, the band is enough
    return curve.kind === 'required' ? [made('low', curve.low), made('high', curve.high)] : [];
  });
}

export function behind(doc, at, map) {
  const { top, bottom } = at.main, limit = doc.bounds.find(bound => bound.broken), made = [];
  for (const { kind, start, stop } of doc.shades) {
    const a = Math.max(map.x(start), at.left), b = Math.min(map.x(stop), at.right);
    if (b <= a) continue;
    const edge = limit ? clamp(map.y(limit.value), top, bottom) : bottom;
    const [from, to] = !limit || limit.high ? [top, edge] : [edge, bottom];
    if (kind === 'uncertain') made.push(dots(a, from, b - a, to - from));
    if (kind === 'unproven') made.push(hatch(a, top, b - a, bottom - top));
  }
  for (const curve of doc.curves) if (curve.high) made.push(band(curve, at, map));
  if (limit) made.push(outside(doc, limit, at, map));
  return made;
}

function band(curve, at, map) {
  const point = (i, value) => `${clamp(map.x(middleOf(curve, i)), at.left, at.right)} ${map.y(value)}`;
  const d = pieces(curve).filter(piece => piece.length > 1).map(piece => {
    const there = piece.map(i => point(i, curve.high[i])), back = piece.map(i => point(i, curve.low[i])).reverse();
    return `M${[...there, ...back].join('L')}Z`;
  }).join('');
  const judged = curve.kind === 'required';
  return d && path(d, { fill: ink(judged ? 'accent' : 'ink-3'), opacity: judged ? 0.2 : 0.35 });
}

// The area between limit and curve while goods were out, proven: one path, so that two points do not add up.
function outside(doc, limit, at, map) {
  const base = map.y(limit.value), farther = limit.high ? Math.min : Math.max;
  let d = '';
  for (const curve of doc.curves) {
    const values = limit.high ? curve.high ?? curve.low : curve.low, half = (curve.step ?? 0) / 2;
    for (const { start, stop } of doc.shades.filter(shade => shade.kind === 'proven')) {
      const points = [];
      for (let i = 0; i < curve.at.length; i += 1) {
        const instant = middleOf(curve, i);
        if (instant < start - half || instant > stop + half) continue;
        points.push([clamp(map.x(clamp(instant, start, stop)), at.left, at.right), farther(map.y(values[i]), base)]);
      }
      if (points.length > 1) d += `M${points[0][0]} ${base}L${points.map(([x, y]) => `${x} ${y}`).join('L')}L${points.at(-1)[0]} ${base}Z`;
    }
  }
  return d && path(d, { fill: ink('harm'), opacity: 0.18 });
}

export function unsureLines(doc, at, map) {
  return doc.curves.flatMap(curve => curve.uncertain.map(([start, stop]) => {
    const values = curve.high ?? curve.low, half = (curve.step ?? 0) / 2, points = [];
    for (let i = 0; i < curve.at.length; i += 1) {
      if (middleOf(curve, i) + half < start || middleOf(curve, i) - half > stop) continue;
      points.push(`${clamp(map.x(middleOf(curve, i)), at.left, at.right)} ${map.y(values[i])}`);
    }
    const d = `M${points.join('L')}`;
    return points.length > 1 && group([
      path(d, { stroke: ink('surface'), lineWidth: 3 }), path(d, { stroke: ink('warn-mark'), lineWidth: 2, lineDash: [3, 3] })]);
  })).filter(Boolean);
}
