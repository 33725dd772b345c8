// Draws the steps of the lifecycle as a ring of buttons, or as a list where there is no room for one.
const GLYPHS = {
  done: "M3 8.5l3.2 3.2L13 5",
  next: "M3 8h10M9 4l4 4-4 4",
  failed: "M8 3v6M8 12.6v.2",
  running: "",
  none: "",
};
const STATES = { done: "done", next: "next", failed: "failed", running: "running", none: "not yet" };
const LEAST_RING = 470;
const RADIUS = 160;

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function drawing(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function angle(place, count) {
  return (2 * Math.PI * place) / count - Math.PI / 2;
}

function ring(nodes) {
  const svg = drawing("svg", { class: "ring", viewBox: "-160 -160 320 320", "aria-hidden": "true" });
  const gap = 0.16;
  nodes.forEach((node, place) => {
    const start = angle(place, nodes.length) + gap;
    const end = angle(place + 1, nodes.length) - gap;
    const at = (a) => `${(RADIUS * Math.cos(a)).toFixed(2)} ${(RADIUS * Math.sin(a)).toFixed(2)}`;
    const follows = nodes[(place + 1) % nodes.length];
    const done = node.state === "done" && place + 1 < nodes.length && follows.state !== "none";
    svg.append(drawing("path", { class: done ? "done" : "", d: `M${at(start)}A${RADIUS} ${RADIUS} 0 0 1 ${at(end)}` }));
  });
  return svg;
}

function button(node, choose) {
  const made = element("button");
  made.type = "button";
  made.dataset.name = node.name;
  made.setAttribute("aria-label", `${node.title}: ${node.fact || STATES[node.state]} (${STATES[node.state]})`);
  const dot = element("span", "dot");
  dot.setAttribute("aria-hidden", "true");
  if (GLYPHS[node.state]) {
    const glyph = drawing("svg", { viewBox: "0 0 16 16" });
    glyph.append(drawing("path", { d: GLYPHS[node.state] }));
    dot.append(glyph);
  }
  const words = element("span", "words");
  words.append(element("span", "name", node.title), element("span", "fact", node.fact));
  made.append(dot, words);
  made.onclick = () => choose(node.name);
  return made;
}

function item(node, place, count, chosen, choose) {
  const made = element("li", node.state);
  const turn = angle(place, count);
  made.style.setProperty("--x", Math.cos(turn).toFixed(4));
  made.style.setProperty("--y", Math.sin(turn).toFixed(4));
  const below = Math.abs(Math.cos(turn)) < 0.01;  // At the lowest point words would lie on the ring.
  made.classList.add(place === 0 ? "top" : below ? "bottom" : Math.cos(turn) < 0 ? "left" : "right");
  const inside = button(node, choose);
  if (node.name === chosen) {
    made.classList.add("chosen");
    inside.setAttribute("aria-current", "step");
  }
  made.append(inside);
  return made;
}

function centre(words) {
  const made = element("p", "centre");
  made.append(element("b", "", words.number), element("span", "", words.meaning));
  if (words.detail) made.append(element("small", "", words.detail));
  return made;
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  let root = parentElement.querySelector("nav");
  const focused = root?.getRootNode().activeElement?.dataset?.name;
  if (!root) {
    root = element("nav");
    parentElement.append(root);
  }
  root.setAttribute("aria-label", data.label);
  const list = element("ol");
  const choose = (name) => setTriggerValue("chosen", name);
  data.nodes.forEach((node, place) => list.append(item(node, place, data.nodes.length, data.chosen, choose)));
  const parts = data.centre ? [ring(data.nodes), centre(data.centre), list] : [list];
  root.replaceChildren(...parts);
  if (focused) root.querySelector(`button[data-name="${focused}"]`)?.focus();
  const shape = () => {
    const narrow = !data.centre || root.parentNode.host?.clientWidth < LEAST_RING || root.clientWidth < LEAST_RING;
    root.className = narrow ? "loop list" : "loop";
  };
  const observer = new ResizeObserver(shape);
  shape();
  observer.observe(parentElement.host || parentElement);
  return () => observer.disconnect();
}
