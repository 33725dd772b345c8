// Asks the server again and again whether something new is to be shown: the next time only once the answer
// to the last has been drawn, so that a slow machine is asked less often; and never while nobody looks.
const LOST_MS = 3000;
// This is called again with every answer, but what it returns only when the component goes.
const timers = new WeakMap();

export default function ({ data, parentElement, setTriggerValue }) {
  const wait = (ms) => {
    clearTimeout(timers.get(parentElement));
    timers.set(parentElement, setTimeout(ask, ms));
  };
  const ask = () => {
    if (!document.hidden) setTriggerValue("beat", data.beat + 1);
    wait(LOST_MS);
  };
  wait(data.every);
  return () => clearTimeout(timers.get(parentElement));
}
