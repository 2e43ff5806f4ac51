// `scripts/worker.mjs` bundles workers into texts; the tests run without workers and see empty ones.
const empty = {
  name: "worker",
  enforce: "pre",
  resolveId: (id) => (id.startsWith("worker:") ? `\0${id}` : null),
  load: (id) => (id.startsWith("\0worker:") ? 'export default "";' : null),
};

// Ten thousand messages take seconds, and longer beside other work.
export default { plugins: [empty], test: { testTimeout: 60_000 } };
