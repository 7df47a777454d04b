const [[main], [box], [track], links, dots] = ["main", "dialog", ".carousel ul", "li .pic", ".dots a"].map((a) => [...document.querySelectorAll(a)]);
let at = 0;
const tell = () =>
  parent.postMessage({ portal: "embed", height: main.offsetHeight + 2 * main.offsetTop, printHeight: +main.dataset.print }, "*");
const load = () => {
  for (const image of document.images) {
    if (track && image.x > innerWidth) image.sizes = "150px";
    image.loading = "eager";
  }
  tell();
};
const go = (n) => {
  at = (n + links.length) % links.length;
  const link = links[at];
  if (box.open) {
    const [image, words] = box.children;
    image.src = link.href;
    image.alt = link.lastElementChild.alt;
    words.innerText = `${at + 1} of ${links.length} ${link.title}`;
  } else {
    track.scrollLeft = track.clientWidth * at;
    link.closest("li").querySelector(`[rel="${document.activeElement.rel}"]`)?.focus({ preventScroll: 1 });
  }
};
const show = (n) =>
  new IntersectionObserver(([{ intersectionRect: r }], io) => {
    io.disconnect();
    box.style = `top:${r.y}px;height:${r.height}px`;
    box.open || box.showModal();
    go(n);
  }).observe(main);
onresize = () => box?.open && show(at);
onclick = (e) => {
  if (e.ctrlKey || e.metaKey || e.shiftKey) return;
  const link = e.target.closest("a"),
    step = e.target.closest("button")?.value;
  if (step) go(at + +step);
  else if (box?.open) box.close();
  else if (box && link) return !!(link.hash ? go(link.hash.slice(2) - 1) : show(links.indexOf(link)));
};
onkeydown = (e) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
  if (step && !e.altKey && !e.metaKey && (track || box?.open)) return !!go(at + step);
};
if (track) track.onscroll = () => {
  at = Math.round(track.scrollLeft / track.clientWidth);
  links[at].lastElementChild.sizes = "100vw";
  dots.forEach((a, n) => a.ariaCurrent = n == at || null);
};
onmessage = (e) => (e.data?.print ? load : tell)();
onload = () => (self.requestIdleCallback ?? setTimeout)(load);
new ResizeObserver(tell).observe(main);
