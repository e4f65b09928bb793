/**
 * The template tag that all components use; text in it is always escaped.
 * Runs on: the page.
 */
import htm from "htm";
import { h } from "preact";

export const html = htm.bind(h);
