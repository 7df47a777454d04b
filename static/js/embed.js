// In the frame: tells its height, opens large pictures. No module: a sandboxed frame may load none.
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
    const { target } = event;
    const link = target.closest("a[href]");
    if (target === box || target.matches("dialog button")) box.close();
    if (!link || event.ctrlKey || event.metaKey) return;
    if (track && link.hash) {
      event.preventDefault(); // a jump would scroll the host too
      track.scrollTo({ left: document.querySelector(link.hash).offsetLeft - track.offsetLeft });
    } else if (box && link.dataset.width) {
      event.preventDefault();
      const [image, words] = box.querySelectorAll("img, p");
      const { top, height } = link.getBoundingClientRect();
      image.onload = () => {
        const tall = box.offsetHeight;
        box.style.marginTop = `${Math.max(0, Math.min(top + (height - tall) / 2, innerHeight - tall))}px`;
      };
      image.src = link.href;
      image.alt = words.textContent = link.querySelector("img:last-child").alt;
      box.showModal();
    }
  });
  track?.addEventListener("scroll", () => {
    const at = Math.round(track.scrollLeft / track.clientWidth);
    document.querySelectorAll(".dots a").forEach((dot, n) => (dot.ariaCurrent = n === at ? "true" : null));
  });
})();
