// Generated from messages.schema.json by "npm run generate"; schema sha256: 23aa32486d83081d1a72f1cd87addeb258c02d8dcb690f959d0be164fa3114fb
import type { Increment, Setup, Snapshot } from "./messages";
export function isSetup(message: unknown): message is Setup;
export function isSnapshot(message: unknown): message is Snapshot;
export function isIncrement(message: unknown): message is Increment;
