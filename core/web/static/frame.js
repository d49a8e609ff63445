// What forms and lists do beyond plain HTML: nothing here is needed for an act.
const $ = (css, within = document) => within.querySelector(css);

// the error summary takes focus, so that it is read out and its links are next
$('[data-focus]')?.focus();
const once = $('form[data-send-at-once]');
if (once) once.submit();

// one sending: buttons are off from the first click until the page is left
document.addEventListener('submit', event => {
  const form = event.target;
  if (form.dataset.sending) { event.preventDefault(); return; }
  if (form.hasAttribute('data-tidy')) {  // a list's address has only what is asked for
    for (const field of form.elements) if (field.name && !field.value) field.disabled = true;
    return;
  }
  if (form.method !== 'post' || form.dataset.inplace) return;
  if (!navigator.onLine) { event.preventDefault(); return; }
  keyed(form);
  form.dataset.sending = '1';
  const button = event.submitter;
  setTimeout(() => { for (const one of form.querySelectorAll('button')) one.disabled = true; button?.classList.add('b-busy'); });
});

// a form that was sent, gone back to and sent again as it was: under the key it had, so that it is posted once
function keyed(form) {
  const key = form.elements._key, place = `key:${form.action}`, old = JSON.parse(sessionStorage.getItem(place) ?? 'null');
  if (!key) return;
  const written = JSON.stringify([...new FormData(form)].filter(([name]) => !name.startsWith('_') && name !== 'password').map(([name, value]) => [name, value.name ?? value]));
  const back = performance.getEntriesByType('navigation')[0]?.type === 'back_forward';
  if (back && old?.written === written) key.value = old.key;
  sessionStorage.setItem(place, JSON.stringify({ key: key.value, written }));
}
addEventListener('pageshow', event => {  // back from the browser's memory: the form may be sent again
  if (!event.persisted) return;
  for (const form of document.querySelectorAll('form[data-sending]')) {
    delete form.dataset.sending;
    for (const one of form.querySelectorAll('button')) { one.disabled = false; one.classList.remove('b-busy'); }
  }
});

// pickers: what is written is looked for, a little after the last key
let waiting;
document.addEventListener('input', event => {
  const field = event.target;
  if (!field.dataset?.pick) return;
  clearTimeout(waiting);
  waiting = setTimeout(() => offer(field), 150);
});
document.addEventListener('focusin', event => { if (event.target.dataset?.pick && !event.target.value) offer(event.target); });
async function offer(field) {
  const found = await fetch(`${field.dataset.pick}?q=${encodeURIComponent(field.value)}`).catch(() => null);
  if (found?.ok) field.list.innerHTML = await found.text();
}

// a form that shows what came of it beside itself: what was chosen in it stays, a file too
document.addEventListener('submit', async event => {
  const form = event.target, target = form.dataset.inplace;
  if (!target || event.defaultPrevented) return;
  event.preventDefault();
  const sent = new FormData(form, event.submitter);
  for (const one of form.querySelectorAll('button')) one.disabled = true;
  try {
    const bar = $('[data-progress]', form);
    const answer = await fetch(form.action, {method: 'post', body: sent, headers: bar ? {'x-progress': '1'} : {}});
    if (answer.redirected) { location.assign(answer.url); return; }
    const text = answer.headers.get('content-type').startsWith('application/x-ndjson') ? await streamed(answer, bar) : await answer.text();
    if (text === null) return;
    const page = new DOMParser().parseFromString(text, 'text/html');
    if (!page.getElementById(target)) { form.submit(); return; }  // another page: the sign-in, or what went wrong
    document.getElementById(target).replaceChildren(...page.getElementById(target).childNodes);
    const key = page.querySelector('[name=_key]');
    if (key) form.elements._key.value = key.value;
    document.querySelector(`#${target} [data-focus]`)?.focus();
  } finally { delete form.dataset.sending; for (const one of form.querySelectorAll('button')) { one.disabled = false; one.classList.remove('b-busy'); } }
});

// an answer that tells how far it is before it is there: the page, or null where it leads to another
async function streamed(answer, bar) {
  const lines = answer.body.pipeThrough(new TextDecoderStream()).getReader(), meter = $('progress', bar), said = $('span', bar);
  let rest = '', page = '';
  bar.hidden = false;
  for (let part = await lines.read(); !part.done; part = await lines.read()) {
    const whole = (rest + part.value).split('\n');
    rest = whole.pop();
    for (const one of whole.map(JSON.parse)) {
      if (one.to) { location.assign(one.to); return null; }
      if (one.page) page = one.page;
      if (one.of) { meter.max = one.of; meter.value = one.done; said.textContent = said.dataset.said.replace('{n}', one.done).replace('{of}', one.of); }
    }
  }
  bar.hidden = true;
  return page;
}

// a choice that is a whole form is sent at once
for (const button of document.querySelectorAll('[data-copy]')) button.hidden = false;
document.addEventListener('click', async event => {
  const button = event.target.closest('[data-copy]'), from = button && document.getElementById(button.dataset.copy);
  if (!from) return;
  from.select();
  // without TLS, and away from this machine, browsers give no clipboard: the old way still works there
  await (navigator.clipboard?.writeText(from.value) ?? Promise.resolve(document.execCommand('copy')));
  button.textContent = button.dataset.copied;
});
document.addEventListener('change', event => { if (event.target.matches('[data-submit]')) event.target.form.requestSubmit(); });

// drafts: what was typed stays in this browser until it was sent and answered by a page of ours, or left
const sent = sessionStorage.getItem('sent');
if (sent && !document.body.classList.contains('bare')) { sessionStorage.removeItem(sent); sessionStorage.removeItem('sent'); }
const drafted = $('form[data-draft]');
if (drafted) {
  const key = `draft:${location.pathname}${location.search}`, old = JSON.parse(sessionStorage.getItem(key) ?? 'null');
  const boxed = one => ['checkbox', 'radio'].includes(one.type);
  const named = one => `${one.name}=${boxed(one) ? one.value : ''}`;
  const touched = one => boxed(one) ? one.checked !== one.defaultChecked : one.options ? [...one.options].some(each => each.selected !== each.defaultSelected) : one.value !== one.defaultValue;
  const fields = () => [...drafted.elements].filter(one => one.name && !one.name.startsWith('_') && !['password', 'hidden', 'file', 'submit'].includes(one.type));
  if (old && !$('.note-err')) for (const one of fields()) {
    const kept = old[named(one)];
    if (kept === undefined) continue;
    if (boxed(one)) one.checked = kept; else one.value = kept;
    $('[data-drafted]', drafted)?.removeAttribute('hidden');
  }
  drafted.addEventListener('input', () => {
    const now = fields().filter(touched).map(one => [named(one), boxed(one) ? one.checked : one.value]);
    sessionStorage.setItem(key, JSON.stringify(Object.fromEntries(now)));
  });
  drafted.addEventListener('submit', event => { if (!event.defaultPrevented) sessionStorage.setItem('sent', key); });
  for (const link of drafted.querySelectorAll('a')) link.addEventListener('click', () => sessionStorage.removeItem(key));
}

// one drop-down open at a time, closed by Escape and by a click elsewhere
document.addEventListener('click', event => {
  for (const one of document.querySelectorAll('details.drop[open]')) if (!one.contains(event.target)) one.open = false;
});
document.addEventListener('keydown', event => {
  if (event.key === 'Escape') for (const one of document.querySelectorAll('details.drop[open]')) { one.open = false; $('summary', one).focus(); }
  if (event.key === '/' && !/^(input|textarea|select)$/i.test(event.target.tagName)) { event.preventDefault(); $('#q')?.focus(); }
});

// rows chosen for an act on many: how many they are, all of them at once, and no act without any
const many = $('form[data-select]');
if (many) {
  const rows = [...many.elements].filter(one => one.name === 'record'), said = $('[data-said]', many), none = said.textContent;
  const tell = () => {
    const count = rows.filter(one => one.checked).length;
    for (const one of rows) one.closest('tr').ariaSelected = one.checked;
    for (const one of many.querySelectorAll('button')) one.disabled = !count;
    said.textContent = count ? said.dataset.said.replace('{n}', count) : none;
  };
  $('[data-all]', many)?.addEventListener('click', event => {
    event.preventDefault();
    const all = rows.every(one => one.checked);
    for (const one of rows) one.checked = !all;
    tell();
  });
  document.addEventListener('change', event => { if (event.target.form === many) tell(); });
  addEventListener('pageshow', tell);
}
