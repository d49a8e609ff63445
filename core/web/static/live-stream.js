// One event stream, kept open while somebody watches: in a worker that all tabs share, or in the tab that leads.
// Ids of events are times in milliseconds; what was heard in the last minute is kept for tabs that come later.
const SILENCE = 40_000, KEPT = 60_000, AGAIN = [1_000, 2_000, 4_000, 8_000, 15_000];

export class LiveStream {
  // tell({name, at, data}) gets: changed, resync, ended, and the state of the connection: open, lost, blocked
  constructor(tell) { this.tell = tell; this.heard = []; this.whole = Infinity; this.failed = 0; this.since = 0; this.state = 'closed'; }

  open(since) {
    if (this.source) return;
    this.since ||= since;
    this.whole = Math.min(this.whole, this.since);
    this.connect();
  }

  stop() {
    clearTimeout(this.waiting); clearTimeout(this.silence);
    this.source?.close();
    this.source = this.waiting = undefined;
    this.state = 'ended';
  }

  close() {
    this.stop();
    this.heard = []; this.whole = Infinity; this.since = 0; this.failed = 0; this.state = 'closed';
  }

  // what a tab has missed that was drawn at that time
  missed(since) {
    if (since < this.whole) return [{name: 'resync', at: Date.now(), data: '-'}];
    return this.heard.filter(one => one.at >= since - 1_000);
  }

  connect() {
    const source = this.source = new EventSource(`/live?since=${this.since}`);
    for (const name of ['beat', 'changed', 'resync', 'ended']) source.addEventListener(name, event => this.event(name, event));
    source.onerror = () => this.broken();
    this.listen();
  }

  event(name, event) {
    const at = Number(event.lastEventId) || 0;
    this.since = Math.max(this.since, at);
    this.failed = 0;
    this.listen();
    if (name !== 'ended') this.is('open');
    if (name === 'beat') return;
    const one = {name, at, data: event.data};
    this.heard = [...this.heard.filter(old => old.at > at - KEPT), one];
    this.whole = Math.max(this.whole, at - KEPT);
    if (name === 'ended') this.stop();
    this.tell(one);
  }

  // nothing at all for too long: the other end is gone without a word
  listen() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.broken(), SILENCE);
  }

  // somebody knows better than to wait
  again() {
    if (!this.source || this.state === 'open') return;
    clearTimeout(this.waiting); this.waiting = undefined;
    this.source.close();
    this.connect();
  }

  async broken() {
    clearTimeout(this.silence);
    const source = this.source;
    source?.close();
    if (!source || this.waiting) return;
    this.waiting = setTimeout(() => { this.waiting = undefined; if (this.source) this.connect(); }, this.pause());
    const found = await fetch('/live/alive', {headers: {'lotwise-unasked': '0'}, cache: 'no-store'}).catch(() => null);
    if (this.source !== source) return;
    if (found?.status === 401) {
      this.stop();
      const why = (await found.json().catch(() => ({}))).why ?? 'invalid';
      this.tell({name: 'ended', at: this.since, data: why});
    } else this.is(found?.ok ? (this.failed > 2 ? 'blocked' : this.state) : 'lost');
  }

  pause() { return AGAIN[Math.min(this.failed++, AGAIN.length - 1)] * (0.5 + Math.random()); }

  is(state) {
    if (this.state === state) return;
    this.state = state;
    this.tell({name: state, at: this.since, data: '-'});
  }
}
