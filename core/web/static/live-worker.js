// The stream of all tabs of a browser: open while one of them watches.
import {LiveStream} from './live-stream.js';

const tabs = new Map(), ALIVE = 90_000;
const stream = new LiveStream(one => { for (const tab of tabs.keys()) tab.postMessage(one); });

self.onconnect = event => {
  const tab = event.ports[0];
  tab.onmessage = ({data}) => {
    if (data.leave) leave(tab);
    else if (data.again) stream.again();
    else if (!tabs.has(tab)) join(tab, data.since);
    else tabs.set(tab, Date.now());
  };
};

function join(tab, since) {
  tabs.set(tab, Date.now());
  if (!stream.source) return stream.open(since);
  tab.postMessage({name: stream.state, at: since, data: '-'});
  for (const one of stream.missed(since)) tab.postMessage(one);
}

function leave(tab) {
  tabs.delete(tab);
  if (!tabs.size) stream.close();
}

// a tab that crashed says nothing
setInterval(() => { for (const [tab, seen] of tabs) if (seen < Date.now() - ALIVE) leave(tab); }, 30_000);
