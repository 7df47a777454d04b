// The button that opens the crop's frame. A turn on its way renews the preview, and with it the frame: first it has to be there.

async function open() {
  const bar = document.getElementById("edit-bar");
  const answered = () => new Promise((resolve) => bar.addEventListener("htmx:finally:request", resolve, { once: true }));
  while (bar.matches(".htmx-request")) await answered();
  document.querySelector("crop-box").open();
}

document.addEventListener("click", (event) => event.target.closest("[data-act=crop]") && open());
