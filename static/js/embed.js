// In the frame: tells its height, opens large pictures. Not a module: a sandboxed frame loads none.
(() => {
  const main = document.querySelector("main");
  const tell = () => {
    const height = main.getBoundingClientRect().bottom + scrollY + parseFloat(getComputedStyle(document.body).paddingBottom);
    const print = main.dataset.rows * 140; // px a row
    parent.postMessage({ portal: "embed", height, print }, "*");
  };
  if (parent !== self) {
    new ResizeObserver(tell).observe(main);
    addEventListener("message", ({ source, data }) => {
      if (source !== parent || data?.portal !== "ask") return;
      if (data.print) for (const image of document.images) image.loading = "eager";
      tell();
    });
  }
  const box = document.querySelector("dialog");
  const track = document.querySelector(".carousel .track");
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    if (event.target === box || event.target.matches("dialog button")) box.close();
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (track && link.hash) {
      event.preventDefault(); // a jump would scroll the host's page too
      const slide = document.getElementById(link.hash.slice(1));
      track.scrollTo({ left: slide.offsetLeft - track.offsetLeft });
    } else if (box && link.dataset.width) {
      event.preventDefault();
      const [image, words] = box.querySelectorAll("img, p");
      image.src = link.href;
      image.alt = words.textContent = link.querySelector("img:last-child").alt;
      ({ width: image.width, height: image.height } = link.dataset);
      box.showModal();
      const { top, height } = link.getBoundingClientRect();
      const space = innerHeight - box.offsetHeight;
      box.style.marginTop = `${Math.max(0, Math.min(top + (height - box.offsetHeight) / 2, space))}px`;
    }
  });
  track?.addEventListener("scroll", () => {
    const at = Math.round(track.scrollLeft / track.clientWidth);
    document.querySelectorAll(".dots a").forEach((dot, n) => (dot.ariaCurrent = n === at ? "true" : null));
  });
})();
