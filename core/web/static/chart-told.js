// What is told of the instant that is pointed at.

import { lastAt } from './chart-labels.js';
import { ON } from './chart-marks.js';

const MOST = 10;
const plain = words => words.replaceAll(/[{}|]/g, ' '); // signs that would be styles

export function told(doc, clock, instant, digits) {
  if (instant === undefined) return '';
  const form = { minimumFractionDigits: Math.max(digits, 1), maximumFractionDigits: 2 };
  const number = new Intl.NumberFormat(doc.language === 'zh' ? 'zh-CN' : 'en-GB', form);
  const show = value => number.format(value).replace('-', '−'), within = ([start, stop]) => start <= instant && instant < stop;
  const lines = [`{b|${clock.text(instant, 'day')} ${clock.text(instant, 'second')}}`];
  for (const curve of doc.curves) {
    const i = lastAt(curve.at, instant), name = plain(curve.label);
    if (!within([curve.start, curve.stop])) continue;
    if (curve.gaps.some(within)) lines.push(`${name}: ${doc.words.gap_here}`);
    else if (i >= 0) {
      const low = show(curve.low[i]), high = show((curve.high ?? curve.low)[i]);
      const unsure = curve.uncertain.some(within) ? ` (${doc.words.uncertain_here})` : '';
      lines.push(`${name}: {b|${low === high ? low : `${low} … ${high}`} ${doc.unit}}${unsure}`);
    }
  }
  for (const row of doc.rows) {
    for (const span of row.spans.filter(one => within([one.start, one.stop]))) {
      const words = span.label && ON[span.kind] ? [row.label, span.label].filter(Boolean).join(': ') : row.label;
      lines.push(`{m|${plain(words)}}`);
    }
  }
  return lines.slice(0, MOST).join('\n');
}
