// The marks of charts as shapes for ECharts' custom series. Colours are the stylesheet's tokens: the drawing is SVG, so a
// change of theme, and print, need nothing of us.

export const ink = name => `var(--${name})`;

export const group = children => ({ type: 'group', children: children.filter(Boolean) });

export const path = (d, style, more = {}) => ({ type: 'path', shape: { pathData: d }, style: { fill: 'none', ...style }, silent: true, ...more });

export const rect = (x, y, width, height, style, r = 0) =>
  ({ type: 'rect', shape: { x, y, width: Math.max(width, 0), height, r }, style, silent: true });

export const line = (x1, y1, x2, y2, style) => ({ type: 'line', shape: { x1, y1, x2, y2 }, style, silent: true });

export const text = (words, x, y, { fill = 'ink-2', weight = 400, align = 'left', font, halo = true }) => ({
  type: 'text', silent: true,
  style: {
    text: words, x, y, fill: ink(fill), font: `${weight} ${font}`, align, verticalAlign: 'middle',
    ...(halo ? { stroke: ink('surface'), lineWidth: 3, lineJoin: 'round' } : {}),
  },
});

// Hatching: what nobody knows. Diagonals cut at the edges of the box.
export function hatch(x, y, width, height, gap = 7) {
  let d = '';
  for (let c = gap / 2; c < width + height; c += gap) {
    const ax = Math.min(c, width), bx = Math.max(c - height, 0);
    d += `M${x + ax} ${y + c - ax}L${x + bx} ${y + c - bx}`;
  }
  return path(d, { stroke: ink('ink-3'), lineWidth: 1 });
}

// Dots: what is uncertain. Rows of round dashes without length.
export function dots(x, y, width, height, gap = 5) {
  let d = '';
  for (let row = 0, at = gap / 2; at < height; at += gap, row += 1) {
    const from = x + (row % 2 ? gap : gap / 2);
    if (from < x + width) d += `M${from} ${y + at}H${x + width}`;
  }
  return path(d, { stroke: ink('warn-mark'), lineWidth: 1.9, lineCap: 'round', lineDash: [0, gap] });
}

const SHAPES = {
  broke: ['M-3-7h6l4 4v6l-4 4h-6l-4-4v-6z', 'harm'],
  excursion: ['M-3-7h6l4 4v6l-4 4h-6l-4-4v-6z', 'harm'],
  hold: ['M-7-7h14v14h-14z', 'hold'],
  document: ['M-4-6h8v12h-8z', 'ink'],
};

export function symbol(kind, x, y) {
  if (kind === 'signature')
    return { type: 'circle', silent: true, shape: { cx: x, cy: y, r: 4.5 }, style: { fill: ink('surface'), stroke: ink('ink'), lineWidth: 1.75 } };
  const [d, colour] = SHAPES[kind];
  const made = [path(d, { fill: ink(colour), stroke: ink('surface'), lineWidth: 1, strokeFirst: true })];
  if (kind === 'hold') made.push(path('M-3.500-4h2.500v8h-2.500zM1-4h2.500v8h-2.500z', { fill: ink('on-hold') }));
  return { ...group(made), x, y };
}

// A bar of a row, by what it says.
export function bar(kind, x, y, width, height) {
  const box = style => rect(x, y, Math.max(width, 2), height, style, 2);
  switch (kind) {
    case 'proven': return [rect(x, y, Math.max(width, 2), height, { fill: ink('harm') })];
    case 'uncertain': return [box({ fill: ink('surface'), stroke: ink('warn-mark'), lineWidth: 1 }), dots(x, y, width, height, 4)];
    case 'unproven': return [box({ fill: ink('surface'), stroke: ink('ink-2'), lineWidth: 1 }), hatch(x, y, width, height, 6)];
    case 'here': return [box({ fill: ink('accent') })];
    case 'held': return [box({ fill: ink('hold') })];
    case 'lifted': return [box({ fill: ink('surface'), stroke: ink('hold'), lineWidth: 1.25 })];
    case 'alarm': return [box({ fill: ink('warn-soft'), stroke: ink('warn-mark'), lineWidth: 1 })];
    default: return [box({ fill: ink('accent-soft'), stroke: ink('accent'), lineWidth: 1 })];
  }
}

export const ON = { here: 'on-accent', held: 'on-hold', lifted: 'ink', was: 'ink', alarm: 'ink' };

// Where labels stand already: a new one takes the first of its places that is free, or none.
export class Places {
  constructor(font) {
    this.taken = [];
    this.pen = document.createElement('canvas').getContext('2d');
    this.font = font;
  }

  width(words, weight = 400) {
    this.pen.font = `${weight} ${this.font}`;
    return this.pen.measureText(words).width;
  }

  take(x, y, width, height) { this.taken.push([x, y, x + width, y + height]); }

  free(x, y, width, height) {
    return this.taken.every(([a, b, c, d]) => x >= c || x + width <= a || y >= d || y + height <= b);
  }

  // `spots`: {x, y, align} of the text's anchor, its middle line at y. Gives the one taken, or null.
  put(words, weight, spots, { left, right }) {
    const wide = this.width(words, weight) + 6, high = 14;
    for (const spot of spots) {
      const x = spot.align === 'right' ? spot.x - wide : spot.align === 'center' ? spot.x - wide / 2 : spot.x;
      if (x < left - 3 || x + wide > right + 3 || !this.free(x, spot.y - high / 2, wide, high)) continue;
      this.take(x, spot.y - high / 2, wide, high);
      return spot;
    }
    return null;
  }

  cut(words, room, weight = 400) {
    if (this.width(words, weight) <= room) return words;
    let end = words.length;
    while (end > 1 && this.width(`${words.slice(0, end)}…`, weight) > room) end -= 1;
    return end > 1 ? `${words.slice(0, end)}…` : '';
  }
}
