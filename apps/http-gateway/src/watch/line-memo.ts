/** The line that was made last: one stream after the other mostly sends the same one. */
export class LineMemo {
  readonly #make: (text: string, id: string) => string;
  #text = "";
  #id = "";
  #line: Buffer = Buffer.alloc(0);

  constructor(make: (text: string, id: string) => string) {
    this.#make = make;
  }

  lineOf(text: string, id: string): Buffer {
    // Texts that are the same object compare at once, and others differ early.
    if (text !== this.#text || id !== this.#id || this.#line.length === 0) {
      this.#line = Buffer.from(this.#make(text, id));
      this.#text = text;
      this.#id = id;
    }
    return this.#line;
  }
}
