import { HpackError } from "./hpack-error.ts";
import { EOS, huffmanCode } from "./huffman-code.ts";

/**
 * The decoder walks the code tree four bits at a time. A state is an inner node of the tree; `transitions` holds,
 * for state * 16 + nibble, the next state in the low byte, the symbol in the second, and the flags below.
 */
const EMITS = 1 << 16;
const FAILS = 1 << 17;
/** The bits since the last symbol are a legal padding: fewer than 8, all ones (RFC 7541, 5.2). */
const MAY_END = 1 << 18;

const transitions: Uint32Array = buildTransitions();

/**
 * Decodes `source[start, end)` into `target` from 0 on.
 *
 * @returns the number of bytes written.
 * @throws HpackError when EOS appears, the padding is wrong, or `target` is too small: 8/5 of the input always
 *   suffices.
 */
export function huffmanDecode(source: Uint8Array, start: number, end: number, target: Uint8Array): number {
  let state = 0;
  let written = 0;
  let entry = MAY_END;
  for (let i = start; i < end; i++) {
    const byte = source[i] as number;
    entry = transitions[state * 16 + (byte >> 4)] as number;
    if (entry & EMITS) target[written++] = (entry >> 8) & 0xff;
    state = entry & 0xff;
    if (entry & FAILS) throw new HpackError("Huffman-coded string contains EOS");
    entry = transitions[state * 16 + (byte & 15)] as number;
    if (entry & EMITS) target[written++] = (entry >> 8) & 0xff;
    state = entry & 0xff;
    if (entry & FAILS) throw new HpackError("Huffman-coded string contains EOS");
  }
  if (!(entry & MAY_END)) throw new HpackError("Huffman-coded string ends in wrong padding");
  if (written > target.length) throw new HpackError("Huffman-coded string exceeds its buffer");
  return written;
}

/** Length in bytes of `text` (one byte per character, as latin1) when Huffman-coded, padding included. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += huffmanCode.lengths[text.charCodeAt(i) & 0xff] as number;
  return (bits + 7) >> 3;
}

/** Writes `text` (latin1) Huffman-coded into `target` at `offset`; returns the offset after it. */
export function huffmanEncode(text: string, target: Uint8Array, offset: number): number {
  // At most 7 bits wait from one symbol to the next, and a code has at most 30: split so that 32 bits suffice.
  let pending = 0;
  let pendingBits = 0;
  let position = offset;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i) & 0xff;
    const code = huffmanCode.bits[symbol] as number;
    let remaining = huffmanCode.lengths[symbol] as number;
    while (remaining > 0) {
      const take = Math.min(remaining, 8 - pendingBits);
      remaining -= take;
      pending = (pending << take) | ((code >>> remaining) & ((1 << take) - 1));
      pendingBits += take;
      if (pendingBits === 8) {
        target[position++] = pending;
        pending = 0;
        pendingBits = 0;
      }
    }
  }
  if (pendingBits > 0) target[position++] = (pending << (8 - pendingBits)) | (0xff >> pendingBits);
  return position;
}

interface Node {
  readonly children: [Node | number | undefined, Node | number | undefined];
  readonly id: number;
  readonly mayEnd: boolean;
}

function buildTransitions(): Uint32Array {
  const nodes: Node[] = [];
  const addNode = (mayEnd: boolean): Node => {
    const node: Node = { children: [undefined, undefined], id: nodes.length, mayEnd };
    nodes.push(node);
    return node;
  };
  const root = addNode(true);
  for (let symbol = 0; symbol <= EOS; symbol++) {
    const length = huffmanCode.lengths[symbol] as number;
    let node = root;
    let allOnes = true;
    for (let depth = 1; depth <= length; depth++) {
      const bit = ((huffmanCode.bits[symbol] as number) >>> (length - depth)) & 1;
      allOnes &&= bit === 1;
      if (depth === length) {
        node.children[bit] = symbol;
        break;
      }
      const child = node.children[bit] ?? addNode(allOnes && depth < 8);
      node.children[bit] = child;
      node = child as Node;
    }
  }
  const table = new Uint32Array(nodes.length * 16);
  for (const from of nodes) {
    for (let nibble = 0; nibble < 16; nibble++) table[from.id * 16 + nibble] = step(root, from, nibble);
  }
  return table;
}

function step(root: Node, from: Node, nibble: number): number {
  let node = from;
  let emitted = 0;
  for (let bit = 3; bit >= 0; bit--) {
    const next = node.children[(nibble >> bit) & 1];
    if (next === undefined || next === EOS) return FAILS;
    if (typeof next === "number") {
      emitted = EMITS | (next << 8);
      node = root;
    } else {
      node = next;
    }
  }
  return node.id | emitted | (node.mayEnd ? MAY_END : 0);
}
