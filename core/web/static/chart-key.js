// The key beneath a chart: what is drawn in it, and nothing else.

import { lookOf } from './chart-curves.js';

const SVG = 'http://www.w3.org/2000/svg';
const LINES = { accent: 'ln', 'ink-3': 'ln ln-2', 'warn-mark': 'ln ln-unsure' };

function shape(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

const bar = kind => shape('rect', { class: `bar-${kind}`, y: 1, width: 22, height: 10 });
const stroke = (kind, more) => shape('path', { class: kind, d: 'M0 6h22', ...more });

export function key(doc) {
  const list = Object.assign(document.createElement('div'), { className: 'key' }), { words } = doc;
  const add = (word, drawn) => {
    const entry = document.createElement('span'), picture = shape('svg', { 'aria-hidden': 'true' });
    picture.append(drawn);
    entry.append(picture, word);
    list.append(entry);
  };
  const has = kind => [...doc.rows.flatMap(row => row.spans), ...doc.shades].some(span => span.kind === kind);
  const marked = kind => doc.rows.some(row => row.marks.some(mark => mark.kind === kind));
  const looks = new Map(doc.curves.map((curve, index) => [curve.label, lookOf(curve, index)]));
  looks.forEach((look, label) => add(label, stroke(LINES[look.color], look.type ? { 'stroke-dasharray': look.type.join(' ') } : {})));
  if (doc.curves.some(curve => curve.high)) add(words.envelope, shape('rect', { class: 'band', y: 1, width: 22, height: 10 }));
  if (has('proven')) add(words.proven, bar('proven'));
  if (has('uncertain') || doc.curves.some(curve => curve.uncertain.length)) add(words.uncertain, bar('unsure'));
  if (has('unproven')) add(words.unproven, bar('worst'));
  if (doc.bounds.some(bound => bound.kind === 'limit')) add(words.limit, stroke('lim'));
  if (doc.bounds.some(bound => bound.kind === 'band')) add(words.band, stroke('lim lim-2'));
  if (doc.instants.some(mark => mark.kind !== 'hold')) add(words.broke, shape('path', { class: 'dot-harm', d: 'M8-1h6l4 4v6l-4 4h-6l-4-4v-6z' }));
  if (has('held')) add(words.held, shape('rect', { class: 'lane-held', y: 1, width: 22, height: 10, rx: 2 }));
  if (marked('signature')) add(words.signature, shape('circle', { class: 'dot-sig', cx: 11, cy: 6, r: 4.5 }));
  if (marked('document')) add(words.document, shape('rect', { class: 'dot', x: 7, width: 8, height: 12 }));
  return list;
}
