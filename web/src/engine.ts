/** What draws: a network inside the page, or a program at the other end of a socket. The component knows no more. */
export interface Engine {
  /** What is drawn; the same at every call. */
  describe(): Description;

  /**
   * Images of latents.
   *
   * @param z `latent` numbers for each image.
   * @param labels A class for each image, 0 to `classes.length - 1`; empty where the network takes none.
   * @returns Bytes [N, C, H, W], 0 to 255.
   */
  draw(z: Float32Array[], labels: number[]): Promise<Uint8Array>;

  /** A PNG file of one image, exact and with its latent inside, where the program makes it; else the page does. */
  picture?(z: Float32Array, label: number): Promise<Blob>;
}

export interface Description {
  name: string;
  /** Channels, height and width of an image. */
  shape: [number, number, number];
  /** Numbers in a latent. */
  latent: number;
  /** Names of classes; empty where there are none. */
  classes: string[];
  /** Whether the network takes a class. */
  conditional: boolean;
  /** sha256 of the generator's weights. */
  weights: string;
  steering?: Steering;
}

/** Linear directions that were fitted to a network that takes no class. */
export interface Steering {
  classes: string[];
  /** Classes that it makes. */
  made: number[];
  /** How far a latent is moved toward the mean of its class. */
  strength: number;
  /** The span of the means, orthonormal. */
  basis: Float32Array[];
  means: Float32Array[];
  /** What can be changed, such as slant; in the order of `moves[label]`. */
  names: string[];
  moves: Float32Array[][];
}
