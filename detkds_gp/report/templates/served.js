"use strict";
// Loads the page again once the store has changed, where the reader is not in the middle of something.
(() => {
  let known = null;
  setInterval(async () => {
    try {
      const version = await (await fetch("/version")).text();
      if (known !== null && version !== known && document.getSelection().isCollapsed) location.reload();
      known = known ?? version;
    } catch (error) { /* the server has ended: what is shown stays */ }
  }, 5000);
})();
