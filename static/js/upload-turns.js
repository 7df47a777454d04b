// Whose turn it is, and when: one tab at a time for one file, and waiting that can be cut short.

// crypto.randomUUID exists only in secure contexts; a portal on plain http in the office has none.
export const newKey = () => {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
};

// Without locks two tabs may send the same file; the server then tells the second one to wait and gives it the first answer.
export async function alone(name, signal, { onWait, act }) {
  let begun = false;
  const begin = async () => {
    begun = true;
    await act();
  };
  try {
    const had = await navigator.locks.request(name, { ifAvailable: true }, async (lock) => lock && (await begin(), true));
    if (had) return;
    onWait();
    await navigator.locks.request(name, { signal }, begin);
  } catch (error) {
    if (begun) throw error;
    if (!signal.aborted) await act(); // no locks here
  }
}

// 1, 2, 4 … 30 seconds, each a little off, so that a hundred browsers do not come back at once.
export const backOff = (tries) => Math.min(2 ** tries, 30) * (0.75 + Math.random() / 2);

export class Patience {
  #waiting = new Set();

  // Until the time is over, the signal aborts, or, if it is not `firm`, somebody has news.
  wait(seconds, signal, { firm = false } = {}) {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#waiting.delete(end);
        signal.removeEventListener("abort", end);
        resolve();
      };
      const timer = setTimeout(end, seconds * 1000);
      if (!firm) this.#waiting.add(end);
      signal.addEventListener("abort", end);
    });
  }

  end() {
    for (const end of [...this.#waiting]) end();
  }
}
