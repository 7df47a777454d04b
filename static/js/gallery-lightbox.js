// A gallery's pictures large, over the page: PhotoSwipe, fetched when it is first asked for. Arrows go on, + or a click comes closer,
// Escape ends; the focus then is on the card of the picture that one has come to.

const vendor = (name) => new URL(`../vendor/${name}`, import.meta.url).href;
const own = (name) => new URL(`../css/${name}`, import.meta.url).href;

let loaded; // once a page

async function load() {
  const sheet = (href) =>
    new Promise((resolve, reject) => {
      const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href, onload: resolve, onerror: reject });
      document.head.append(link);
    });
  const [module] = await Promise.all([
    import("../vendor/photoswipe.esm.min.js"),
    sheet(vendor("photoswipe.css")).then(() => sheet(own("lightbox.css"))),
  ]);
  return module.default;
}

const nameOf = (card) => card.querySelector(".name").textContent.trim();

// One slide a card that has something to show.
const slideOf = (card) => {
  const link = card.querySelector(".tools [data-act=view]");
  if (!link) return null;
  const { width, height, caption = "" } = link.dataset;
  const page = card.querySelector(".name").href;
  return { src: link.href, width: Number(width), height: Number(height), alt: nameOf(card), id: card.id, caption, page };
};

function addCaption(box) {
  box.ui.registerElement({
    name: "caption",
    order: 9,
    isButton: false,
    appendTo: "root",
    onInit: (element) => {
      const [title, words, open] = ["b", "span", "a"].map((name) => document.createElement(name));
      open.textContent = "Open its page";
      element.append(title, words, open);
      box.on("change", () => {
        const { alt, caption, page } = box.currSlide.data;
        title.textContent = alt;
        words.textContent = caption;
        open.href = page;
      });
    },
  });
}

/** done: takes the id of the card that was looked at last. */
export async function openLightbox(cards, card, done) {
  const slides = cards.map(slideOf).filter(Boolean);
  const index = slides.findIndex((slide) => slide.id === card.id);
  if (index < 0) return;
  try {
    const PhotoSwipe = await (loaded ??= load());
    const box = new PhotoSwipe({
      dataSource: slides,
      index,
      mainClass: "lightbox",
      showHideAnimationType: "fade",
      bgOpacity: 1,
      loop: false,
      returnFocus: false,
      secondaryZoomLevel: (level) => Math.max(1, level.fit * 2.5),
      maxZoomLevel: 4,
      paddingFn: ({ x }) => (x < 720 ? { top: 56, bottom: 88, left: 0, right: 0 } : { top: 56, bottom: 96, left: 64, right: 64 }),
      indexIndicatorSep: " of ",
      closeTitle: "Close",
      zoomTitle: "Zoom",
      arrowPrevTitle: "Previous picture",
      arrowNextTitle: "Next picture",
      errorMsg: "This picture does not come. What is on the page is still there.",
    });
    box.on("uiRegister", () => addCaption(box));
    box.on("bindEvents", () => box.element.setAttribute("aria-label", "Pictures, large"));
    box.on("destroy", () => done(slides[box.currIndex].id));
    box.init();
  } catch {
    loaded = undefined; // the net was away: the picture itself, as without script
    location.assign(slides[index].src);
  }
}
