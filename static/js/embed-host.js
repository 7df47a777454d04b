// /embed.js on a host's page: gives each of the portal's frames the height of what is in it, and its print height on paper.
// Frames are those marked data-portal-embed, and those that come from where this script comes from. A message counts only
// when it was sent by the very window of such a frame: a sandboxed frame has no origin that could be compared.
(() => {
  const origin = new URL(document.currentScript?.src ?? location.href).origin;
  const LEAST = 40;
  const MOST = 20000;
  const onPaper = new Map();
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
  const clamp = (height) => Math.min(Math.max(Math.ceil(height), LEAST), MOST);
  const ask = (print) => {
    for (const frame of frames()) frame.contentWindow?.postMessage({ portal: "ask", print }, "*");
  };
  addEventListener("message", (event) => {
    const { portal, height, print } = Object(event.data);
    if (portal !== "embed" || !Number.isFinite(height)) return;
    const frame = frames().find((candidate) => candidate.contentWindow === event.source);
    if (!frame) return;
    frame.style.height = `${clamp(height)}px`;
    if (Number.isFinite(print) && print > 0) onPaper.set(frame, clamp(print));
  });
  let before = [];
  addEventListener("beforeprint", () => {
    ask(true); // pictures further down load now, although nobody scrolled to them
    before = [...onPaper].map(([frame, height]) => [frame, frame.style.height, height]);
    for (const [frame, , height] of before) frame.style.height = `${height}px`;
  });
  addEventListener("afterprint", () => {
    for (const [frame, height] of before) frame.style.height = height;
  });
  ask(false); // a frame may have told its height before this script was here
})();
