/**
 * Counts down to the moment at which attempts are looked at again.
 * Runs on: the page.
 */
import { useEffect, useState } from "preact/hooks";
import { formatClock } from "../lib/format.js";
import { html } from "../lib/html.js";

/**
 * @param {number} until milliseconds; 0 for none
 * @returns {number} the whole seconds left
 */
export function useSecondsLeft(until) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    setNow(Date.now());
    if (until <= Date.now()) return undefined;
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, [until, now >= until]);
  return Math.max(0, Math.ceil((until - now) / 1000));
}

/** Is no live region: a screen reader that spoke every second would be of no help.
 * @param {{seconds: number}} props */
export function Countdown({ seconds }) {
  return html`<p class="countdown" aria-live="off">
    Try again in <span class="numeric">${formatClock(seconds)}</span>.
  </p>`;
}
