// SPDX-License-Identifier: Apache-2.0
//
// Which stretch of time is on the strip. A viewport is never changed: each move makes a new one,
// within bounds, so that nobody gets lost beside history.

export interface Bounds {
  // Seconds since 1970: the ends of history.
  readonly first: number;
  readonly last: number;
}

export interface Viewport {
  // Seconds since 1970 at the left edge; with a fraction.
  readonly begin: number;
  // Seconds from edge to edge.
  readonly span: number;
}

export const kSpanMin = 20;
const kSpanMax = 400 * 86400;
// Of what is shown, so much may lie beside history.
const kBeside = 0.04;

export function endOf(view: Viewport): number {
  return view.begin + view.span;
}

// All of history, or its newest part of that length.
export function newest(bounds: Bounds, span: number): Viewport {
  const { span: shown } = within({ begin: bounds.first, span: Math.min(span, kSpanMax) }, bounds);
  return within({ begin: bounds.last - shown * (1 - kBeside), span: shown }, bounds);
}

export function everything(bounds: Bounds): Viewport {
  return newest(bounds, Infinity);
}

// The same stretch, moved and cut so that history is on the strip.
export function within(view: Viewport, bounds: Bounds): Viewport {
  const history = Math.max(bounds.last - bounds.first, kSpanMin);
  const spanMax = Math.min(kSpanMax, Math.max(kSpanMin, history / (1 - 2 * kBeside)));
  const span = Math.min(Math.max(view.span, kSpanMin), spanMax);
  const beside = span * kBeside;
  const beginMin = bounds.first - beside;
  const beginMax = Math.max(beginMin, bounds.last + beside - span);
  // A span that was cut keeps its middle.
  const begin = view.begin + (view.span - span) / 2;
  return { begin: Math.min(Math.max(begin, beginMin), beginMax), span };
}

// By a factor (smaller than 1: in), while the second under `anchor` (0: left, 1: right) stays.
export function zoom(view: Viewport, factor: number, anchor: number, bounds: Bounds): Viewport {
  const whole = within({ begin: view.begin, span: view.span * factor }, bounds).span;
  const begin = view.begin + (view.span - whole) * anchor;
  return within({ begin, span: whole }, bounds);
}

export function pan(view: Viewport, seconds: number, bounds: Bounds): Viewport {
  return within({ begin: view.begin + seconds, span: view.span }, bounds);
}

// So that the second is on the strip, moved as little as that takes.
export function reveal(view: Viewport, second: number, bounds: Bounds): Viewport {
  const margin = view.span * 0.08;
  if (second < view.begin + margin) return pan(view, second - view.begin - margin, bounds);
  const right = endOf(view) - margin;
  return second > right ? pan(view, second - right, bounds) : view;
}

// A stretch around a second, which is then in its middle.
export function around(second: number, span: number, bounds: Bounds): Viewport {
  return within({ begin: second - span / 2, span }, bounds);
}

// Part of the way from one to the other: spans by their ratio, so that a zoom looks even.
export function between(from: Viewport, to: Viewport, part: number): Viewport {
  if (part >= 1) return to;
  const ratio = to.span / from.span;
  const span = from.span * ratio ** part;
  const share = Math.abs(ratio - 1) < 1e-6 ? part : (span - from.span) / (to.span - from.span);
  return { begin: from.begin + (to.begin - from.begin) * share, span };
}

export function secondAt(view: Viewport, x: number, width: number): number {
  return view.begin + (x / width) * view.span;
}

export function pixelAt(view: Viewport, second: number, width: number): number {
  return ((second - view.begin) / view.span) * width;
}

// Whether the newest second is on the strip's right side: then it follows.
export function follows(view: Viewport, bounds: Bounds): boolean {
  const end = endOf(view);
  return bounds.last <= end && bounds.last >= end - view.span * kBeside * 2;
}
