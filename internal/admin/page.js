'use strict';
// The server sends the whole page again as an event; the parts that changed take the place
// of the old ones, and nothing else moves: neither focus nor scrolling.
(() => {
  const take = (html) => {
    const fresh = new DOMParser().parseFromString(html, 'text/html');
    for (const now of document.querySelectorAll('[data-live]')) {
      const next = fresh.getElementById(now.id);
      if (!next || now.outerHTML === next.outerHTML || now.contains(document.activeElement)) continue;
      now.className = next.className;
      now.replaceChildren(...next.childNodes);
    }
    document.title = fresh.title;
  };
  const updated = document.getElementById('live-updated');
  const source = new EventSource('/events');
  source.onmessage = (event) => take(event.data);
  source.onerror = () => { updated.textContent = 'The connection is lost; what you see is old. Trying again.'; };
  addEventListener('pagehide', () => source.close());
})();
