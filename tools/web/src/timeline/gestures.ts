// SPDX-License-Identifier: Apache-2.0
//
// What wheel, mouse, pen and fingers mean on the strip. Positions are shares of its width.
export interface Gestures {
  // By a factor, smaller than 1 is in, around a place.
  zoom(factor: number, at: number): void;
  // By a share of what is shown.
  pan(share: number): void;
  // The pointer is at a place, or gone.
  point(at: number | undefined): void;
  choose(at: number, y: number): void;
  zoomTo(at: number): void;
}

const kDragPixels = 5;
const kDoubleMillis = 350;
const kLinePixels = 16;

// Returns what ends it.
export function listen(element: HTMLElement, gestures: Gestures): () => void {
  const pointers = new Map<number, { x: number; y: number }>();
  let startX = 0;
  let isDrag = false;
  let lastTap = { at: 0, x: 0 };
  const box = () => element.getBoundingClientRect();
  const share = (x: number) => {
    const { left, width } = box();
    return (x - left) / width;
  };

  const wheel = (event: WheelEvent): void => {
    event.preventDefault();
    const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? kLinePixels : 1;
    const x = event.deltaX * unit;
    const y = event.deltaY * unit;
    // A touchpad pinches with ctrl; sideways, or with shift, is a pan.
    if (event.shiftKey || Math.abs(x) > Math.abs(y)) {
      gestures.pan((event.shiftKey && x === 0 ? y : x) / box().width);
      return;
    }
    const strength = event.ctrlKey ? 0.01 : 0.0022;
    gestures.zoom(Math.exp(Math.max(-240, Math.min(240, y)) * strength), share(event.clientX));
  };

  const down = (event: PointerEvent): void => {
    if (event.button !== 0) return;
    element.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (pointers.size === 1) {
      startX = event.clientX;
      isDrag = false;
    } else {
      isDrag = true;
    }
  };

  const move = (event: PointerEvent): void => {
    const before = pointers.get(event.pointerId);
    if (!before) {
      if (event.pointerType !== 'touch') gestures.point(share(event.clientX));
      return;
    }
    const others = [...pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    const [other] = others;
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (other) {
      const was = Math.max(20, Math.abs(before.x - other.x));
      const is = Math.max(20, Math.abs(event.clientX - other.x));
      gestures.zoom(was / is, share((event.clientX + other.x) / 2));
      gestures.pan((before.x - event.clientX) / 2 / box().width);
      return;
    }
    if (!isDrag && Math.abs(event.clientX - startX) < kDragPixels) return;
    // From where it began, so that what is under the finger stays there.
    gestures.pan(((isDrag ? before.x : startX) - event.clientX) / box().width);
    isDrag = true;
    gestures.point(undefined);
  };

  const up = (event: PointerEvent): void => {
    if (!pointers.delete(event.pointerId) || isDrag || event.type === 'pointercancel') return;
    const isDouble =
      event.timeStamp - lastTap.at < kDoubleMillis && Math.abs(event.clientX - lastTap.x) < 2 * kDragPixels;
    lastTap = { at: isDouble ? 0 : event.timeStamp, x: event.clientX };
    if (isDouble) gestures.zoomTo(share(event.clientX));
    else gestures.choose(share(event.clientX), event.clientY - box().top);
  };

  const leave = (): void => {
    if (pointers.size === 0) gestures.point(undefined);
  };

  element.addEventListener('wheel', wheel, { passive: false });
  element.addEventListener('pointerdown', down);
  element.addEventListener('pointermove', move);
  element.addEventListener('pointerup', up);
  element.addEventListener('pointercancel', up);
  element.addEventListener('pointerleave', leave);
  return () => {
    element.removeEventListener('wheel', wheel);
    element.removeEventListener('pointerdown', down);
    element.removeEventListener('pointermove', move);
    element.removeEventListener('pointerup', up);
    element.removeEventListener('pointercancel', up);
    element.removeEventListener('pointerleave', leave);
  };
}
