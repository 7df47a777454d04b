// Who is signed in here, as the server sees it now: a page that stood open may outlive its session.
const PATIENCE = 10_000; // ms

export const accountOfPage = () => document.body.dataset.account ?? "";

export const tokenOfPage = () => JSON.parse(document.body.getAttribute("hx-headers:inherited") ?? "{}")["X-CSRF-Token"];

// {account, token} of an answer that is a page; null where it is none.
export const readSession = async (answer) => {
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const account = page.body.dataset.account;
  return account ? { account, token: page.querySelector("[name=csrf_token]")?.value } : null;
};

// "renewed" (the page's forms have another token now), "same", "out", "other" (somebody else), "unknown" (no answer).
export async function look(url) {
  try {
    const signal = AbortSignal.timeout?.(PATIENCE);
    const answer = await fetch(url, { redirect: "manual", headers: { Accept: "text/html" }, signal });
    if (answer.type === "opaqueredirect") return "out";
    return answer.ok ? takeSession(await readSession(answer)) : "unknown";
  } catch {
    return "unknown";
  }
}

// The new session's token serves the whole page, but in nobody else's name.
export function takeSession(session) {
  if (session?.account !== accountOfPage()) return session ? "other" : "out";
  if (!session.token || session.token === tokenOfPage()) return "same";
  for (const field of document.querySelectorAll("input[name=csrf_token]")) field.value = session.token;
  document.body.setAttribute("hx-headers:inherited", JSON.stringify({ "X-CSRF-Token": session.token }));
  return "renewed";
}
