// A module that is bundled for itself and imported as text; scripts/worker.mjs sees to it.
declare module "worker:*" {
  const text: string;
  export default text;
}
