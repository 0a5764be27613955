'use strict';
// The server sends the whole page again as an event; the parts that changed take the place
// of the old ones, and nothing else moves: neither focus nor scrolling. When no event comes,
// all that the page says is old, and it says that instead.
(() => {
  const root = document.documentElement;
  const icon = document.getElementById('icon');
  const shop = document.querySelector('h1').textContent;
  const patience = 7000; // an event comes every two seconds
  let heard = Date.now();
  let source;

  // The tooltips of times are the reader's own.
  const localise = (part) => {
    for (const t of part.querySelectorAll('time')) t.title = new Date(t.dateTime).toLocaleString();
  };
  const take = (html) => {
    heard = Date.now();
    root.classList.remove('lost');
    const fresh = new DOMParser().parseFromString(html, 'text/html');
    localise(fresh);
    for (const now of document.querySelectorAll('[data-live]')) {
      const next = fresh.getElementById(now.id);
      if (!next || now.outerHTML === next.outerHTML) continue;
      now.className = next.className;
      const at = now.contains(document.activeElement) && document.activeElement.getAttribute('href');
      now.replaceChildren(...next.childNodes);
      if (at) now.querySelector(`a[href="${CSS.escape(at)}"]`)?.focus({ preventScroll: true });
    }
    document.title = fresh.title;
    const href = fresh.getElementById('icon').getAttribute('href');
    if (icon.getAttribute('href') !== href) icon.setAttribute('href', href);
  };
  const lose = () => {
    if (root.classList.contains('lost')) return;
    root.classList.add('lost');
    const verdict = document.getElementById('live-verdict');
    const since = new Date(heard);
    verdict.className = 'verdict lost';
    verdict.querySelector('.mark').textContent = '?';
    verdict.querySelector('.mark + span').textContent = 'The connection to the sidecar is lost. What is below was so at ' +
      since.toLocaleTimeString() + ', and may be wrong now. Trying again.';
    document.getElementById('live-advice').replaceChildren();
    document.title = '? Connection lost · ' + shop;
    icon.setAttribute('href', icon.dataset.lost);
  };
  // A refusal ends an event source for good: then too many pages are open, and this one asks for itself.
  const ask = async () => {
    try {
      const answer = await fetch('/' + location.search, { cache: 'no-store' });
      if (!answer.ok) throw new Error(answer.status);
      take(await answer.text());
    } catch {
      lose();
    }
  };
  const open = () => {
    source = new EventSource('/events' + location.search);
    source.onmessage = (event) => take(event.data);
    source.onerror = () => {
      if (source.readyState !== EventSource.CLOSED) return lose();
      ask();
      setTimeout(open, patience - 2000);
    };
  };
  localise(document);
  open();
  setInterval(() => { if (Date.now() - heard > patience) lose(); }, 1000);
  addEventListener('pagehide', () => source.close());
  addEventListener('pageshow', (event) => { if (event.persisted) open(); });
})();
