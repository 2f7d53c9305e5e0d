"use strict";
// Loads the page again once the store is not what it was drawn from, where the reader is not in the middle of something.
(() => {
  const drawn = document.body.dataset.version;
  setInterval(async () => {
    try {
      const version = await (await fetch("/version")).text();
      if (version !== drawn && document.getSelection().isCollapsed) location.reload();
    } catch (error) { /* the server has ended: what is shown stays */ }
  }, 5000);
})();
