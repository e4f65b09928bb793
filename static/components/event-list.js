/**
 * What has happened to a plugin, as a line of time.
 * Runs on: the page.
 */
import { useConnected } from "../lib/connect.js";
import { html } from "../lib/html.js";
import { socket } from "../lib/hub.js";
import { eventDetails, eventWord, PluginEvents } from "../lib/plugin-events.js";
import { Button } from "./button.js";
import { Empty, Failure, Loading } from "./states.js";
import { Moment } from "./time.js";

/** @import { PluginEvent } from "../lib/types.js" */

/** @param {{event: PluginEvent}} props */
function Happened({ event }) {
  const details = eventDetails(event);
  return html`<li data-type=${event.event_type}>
    <strong>${eventWord(event)}</strong>
    <span class="muted"><${Moment} at=${event.timestamp} /></span>
    ${details && html`<p>${details}</p>`}
  </li>`;
}

/** @param {{id: string}} props */
export function EventList({ id }) {
  const store = useConnected(() => new PluginEvents(socket, id), [id]);
  const events = store.events.value;
  if (!events && store.error.value) {
    return html`<${Failure} message=${store.error.value} onRetry=${() => store.refresh()} />`;
  }
  if (!events) return html`<${Loading} what="the events" rows=${6} />`;
  if (events.length === 0) {
    return html`<${Empty} icon="history" title="Nothing has happened yet">
      Starts, failures and stops appear here.
    <//>`;
  }
  return html`<section class="event-view" aria-label="Events">
    <ol class="events">${events.map((event) => html`<${Happened} key=${event.id} event=${event} />`)}</ol>
    ${!store.atEnd.value && html`<div class="more"><${Button} onPress=${() => store.more()}>Show older events<//></div>`}
  </section>`;
}
