// Instants (milliseconds, UTC) as the clocks of the place have them: by the offsets that the server sends with a chart,
// so that what is drawn agrees with what the server writes elsewhere, whatever the browser knows of time zones.

const MINUTE = 60e3, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const STEPS = [1, 2, 5, 10, 15, 30].map(n => n * MINUTE).concat([1, 2, 3, 6, 12].map(n => n * HOUR), [1, 2, 3, 5, 7, 14].map(n => n * DAY));
const MONTHS = [1, 2, 3, 6, 12, 24, 60];
const MONDAY = 4 * DAY; // 1970-01-05

export class Clock {
  constructor(axis, language) {
    this.offsets = axis.offsets;
    const locale = language === 'zh' ? 'zh-CN' : 'en-GB';
    const made = options => new Intl.DateTimeFormat(locale, { timeZone: 'UTC', ...options });
    this.forms = {
      time: made({ hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }),
      second: made({ hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' }),
      day: made({ day: 'numeric', month: 'short' }),
      month: made({ month: 'short' }),
      year: made({ year: 'numeric' }),
    };
  }

  offset(instant) {
    let found = this.offsets[0].minutes;
    for (const one of this.offsets) if (one.since <= instant) found = one.minutes;
    return found * MINUTE;
  }

  local(instant) { return instant + this.offset(instant); }

  instant(local) {
    const first = local - this.offset(local);
    return local - this.offset(first);
  }

  text(instant, form) { return this.forms[form].format(this.local(instant)); }

  // {at, text, begins}: `begins` is the day (or year) that begins there, to be written beneath; the first tick has it too.
  ticks(start, stop, most) {
    const span = stop - start;
    const step = STEPS.find(one => span / one <= most);
    const found = step ? this.#even(start, stop, step) : this.#months(start, stop, most);
    const small = step && step < DAY;
    let before = null;
    return found.map(local => {
      const above = small ? Math.floor(local / DAY) : new Date(local).getUTCFullYear();
      const begins = above !== before;
      before = above;
      return {
        at: this.instant(local),
        text: this.forms[small ? 'time' : step ? 'day' : 'month'].format(local),
        begins: begins ? this.forms[small ? 'day' : 'year'].format(local) : '',
        midnight: local % DAY === 0,
      };
    });
  }

  #even(start, stop, step) {
    const found = [], zero = step % (7 * DAY) === 0 ? MONDAY : 0;
    for (let at = Math.ceil((this.local(start) - zero) / step) * step + zero; at <= this.local(stop); at += step) found.push(at);
    return found;
  }

  #months(start, stop, most) {
    const step = MONTHS.find(one => (stop - start) / (one * 30.4 * DAY) <= most) ?? MONTHS.at(-1);
    const first = new Date(this.local(start)), found = [];
    let month = Math.ceil((first.getUTCFullYear() * 12 + first.getUTCMonth()) / step) * step;
    for (let at = Date.UTC(0, month); ; month += step) {
      at = Date.UTC(Math.floor(month / 12), month % 12);
      if (at > this.local(stop)) return found;
      if (at >= this.local(start)) found.push(at);
    }
  }
}
