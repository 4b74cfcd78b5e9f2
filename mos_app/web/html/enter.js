// The invite comes in the address's fragment, which browsers keep to themselves: no proxy's log ever has it.
// It is exchanged for a cookie that scripts cannot read, and the address is replaced by the study's page.
const invite = window.location.hash.slice(1);
window.history.replaceState(null, "", window.location.pathname);
fetch("/mos/enter", {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ invite }),
}).finally(() => window.location.replace("/"));
