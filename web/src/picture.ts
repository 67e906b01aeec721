/** Bytes [C, H, W] as pixels for a canvas; one channel is grey. */
export function pixels(bytes: Uint8Array, [channels, height, width]: [number, number, number]): ImageData {
  const image = new ImageData(width, height), count = height * width;
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = bytes[(channels === 1 ? 0 : c) * count + i];
    image.data[4 * i + 3] = 255;
  }
  return image;
}

/** Cut into single images. */
export function each(bytes: Uint8Array, size: number): Uint8Array[] {
  return Array.from({ length: bytes.length / size }, (_, n) => bytes.subarray(n * size, (n + 1) * size));
}

/** A PNG file of one image at its own size, with a text inside under the word `pocketgan`. */
export async function png(bytes: Uint8Array, shape: [number, number, number], text: string): Promise<Blob> {
  const canvas = document.createElement("canvas");
  [canvas.height, canvas.width] = [shape[1], shape[2]];
  canvas.getContext("2d")!.putImageData(pixels(bytes, shape), 0, 0);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  if (!blob) throw new Error("this browser makes no PNG");
  const afterHeader = 8 + 25; // the signature, and the first chunk
  return new Blob([blob.slice(0, afterHeader), textChunk(text), blob.slice(afterHeader)], { type: "image/png" });
}

function textChunk(text: string): Uint8Array<ArrayBuffer> {
  const body = new TextEncoder().encode(`tEXtpocketgan\0${text}`);
  const chunk = new Uint8Array(body.length + 8), view = new DataView(chunk.buffer);
  view.setUint32(0, body.length - 4);
  chunk.set(body, 4);
  view.setUint32(body.length + 4, checksum(body));
  return chunk;
}

function checksum(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}
