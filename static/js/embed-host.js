// /embed.js on a host's page: gives each of the portal's frames the height of what is in it, and its print height on paper.
// Frames are those marked data-portal-embed ("fixed": only on paper), and those that come from where this script comes from.
// A message counts only for the frame whose very window sent it: a sandboxed frame has no origin that could be compared.
(() => {
  const origin = new URL(document.currentScript?.src ?? location.href).origin;
  const here = Symbol.for(`portal-embed ${origin}`);
  if (window[here]) return;
  window[here] = true;

  const LEAST = 40;
  const MOST = 20000;
  const onPaper = new WeakMap();
  const isOurs = (frame) => {
    if (frame.hasAttribute("data-portal-embed")) return true;
    try {
      const url = new URL(frame.src);
      return url.origin === origin && /^\/(embed|cards)\//.test(url.pathname);
    } catch {
      return false;
    }
  };
  const frames = () => [...document.querySelectorAll("iframe")].filter(isOurs);
  const isHeight = (value) => typeof value === "number" && value > 0 && value < Infinity;
  const pixels = (height) => `${Math.min(Math.max(Math.ceil(height), LEAST), MOST)}px`;
  const ask = (print, asked = frames()) => {
    for (const frame of asked) {
      if (print) frame.loading = "eager"; // a frame further down, too, is on paper
      frame.contentWindow?.postMessage({ portal: "ask", print }, "*");
    }
  };

  addEventListener("message", ({ source, data }) => {
    if (data?.portal !== "embed" || !isHeight(data.height)) return;
    const frame = frames().find((candidate) => candidate.contentWindow === source);
    if (!frame) return;
    if (frame.dataset.portalEmbed !== "fixed") frame.style.height = pixels(data.height);
    if (isHeight(data.printHeight)) onPaper.set(frame, pixels(data.printHeight));
  });

  let before = [];
  const toPaper = () => {
    ask(true);
    if (before.length) return;
    before = frames().filter((frame) => onPaper.has(frame));
    before = before.map((frame) => [frame, frame.style.height]);
    for (const [frame] of before) frame.style.height = onPaper.get(frame);
  };
  addEventListener("beforeprint", toPaper);
  addEventListener("afterprint", () => {
    for (const [frame, height] of before) frame.style.height = height;
    before = [];
  });

  const idle = window.requestIdleCallback ?? setTimeout;
  const whenLoaded = (asked) => idle(() => ask(true, asked)); // what lies further down is fetched before somebody prints
  const late = (frame) => document.readyState === "complete" && frames().includes(frame) && whenLoaded([frame]);
  document.addEventListener("load", ({ target }) => late(target), true); // out of sight, a frame does nothing unless it is asked
  ask(false); // a frame may have told its height before this script was here
  if (document.readyState === "complete") whenLoaded();
  else addEventListener("load", () => whenLoaded());
})();
