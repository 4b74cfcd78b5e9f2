// The invite comes in the address's fragment, which browsers keep to themselves: no proxy's log ever has it.
// It is exchanged for a cookie that scripts cannot read, and the address is replaced by the study's page.
const invite = window.location.hash.slice(1);
const told = document.getElementById("told");

// Asks until it is answered: the page without the cookie would show whoever used this browser before.
async function enter() {
  for (let wait = 300; ; wait = Math.min(5000, 2 * wait)) {
    try {
      const response = await fetch("/mos/enter", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ invite }),
        signal: AbortSignal.timeout(10000),
      });
      if (response.status < 500 && response.status !== 408 && response.status !== 429) break;
    } catch {
      // no network, a restarted server: ask again
    }
    told.hidden = false;
    await new Promise((resolve) => setTimeout(resolve, wait * (0.75 + Math.random() / 2)));
  }
  window.location.replace("/");
}

enter();
