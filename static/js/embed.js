const [main, box, track] = ["main", "dialog", ".carousel ul"].map((a) => document.querySelector(a));
const links = [...document.querySelectorAll("li .pic")];
let at = 0;
const tell = () => {
  parent.postMessage({ portal: "embed", height: main.offsetHeight + 2 * main.offsetTop, printHeight: +main.dataset.print }, "*");
};
const load = () => {
  for (const image of document.images) {
    if (track && image.x > innerWidth) image.sizes = "150px";
    image.loading = "eager";
  }
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
    link.closest("li").querySelector(`[rel="${document.activeElement.rel}"]`)?.focus({ preventScroll: true });
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
onclick = ({ target }) => {
  const link = target.closest("a");
  const step = target.closest("button")?.value;
  if (step) go(at + +step);
  else if (box?.open) box.close();
  else if (box && link) {
    link.hash ? go(link.hash.slice(2) - 1) : show(links.indexOf(link));
    return false;
  }
};
onkeydown = ({ key }) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
  if (step && (track || box?.open)) go(at + step);
};
track?.addEventListener("scroll", () => {
  at = Math.round(track.scrollLeft / track.clientWidth);
  links[at].lastElementChild.sizes = "100vw";
  document.querySelectorAll(".dots a").forEach((a, n) => (a.ariaCurrent = n === at || null));
});
onmessage = ({ data }) => (data?.print && load(), tell());
onload = () => (self.requestIdleCallback ?? setTimeout)(load);
new ResizeObserver(tell).observe(main);
