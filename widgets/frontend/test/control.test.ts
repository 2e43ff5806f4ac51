// The browser's end of the control comm, on a Jupyter kernel that is played by the test.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Comm, type CommMessage, Control } from "../src/control";

const SESSION = { key: "k", title: "Net", state: "running", step: 3, path: "/runs/a.dsrun" };

class FakeComm implements Comm {
  isDisposed = false;
  commsOverSubshells = "perComm";
  subshellStarted = Promise.resolve();
  sent: Record<string, unknown>[] = [];
  opened = 0;
  onMsg(_message: CommMessage): void {}
  onClose(_message: CommMessage): void {}
  constructor(
    readonly target: string,
    readonly commId: string,
    private answer: (request: Record<string, unknown>) => unknown,
  ) {}
  open(): void {
    this.opened += 1;
  }
  send(data: Record<string, unknown>): void {
    this.sent.push(data);
    const reply = this.answer(data);
    if (reply !== undefined) void Promise.resolve().then(() => this.receive(reply));
  }
  receive(data: unknown, buffers?: ArrayBuffer[]): void {
    this.onMsg({ content: { data }, ...(buffers && { buffers }) });
  }
  dispose(): void {
    this.isDisposed = true;
  }
}

function answering(request: Record<string, unknown>): unknown {
  const { type, id } = request;
  return type === "sessions" ? { type, id, sessions: [SESSION] } : { type: "answer", id, error: null };
}

function kernelThat(answer: (request: Record<string, unknown>) => unknown = answering, supportsSubshells?: boolean) {
  const comms: FakeComm[] = [];
  const createComm = (target: string) => {
    comms.push(new FakeComm(target, `comm-${comms.length}`, answer));
    return comms.at(-1)!;
  };
  return { info: Promise.resolve(), createComm, comms, ...(supportsSubshells !== undefined && { supportsSubshells }) };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("a control", () => {
  it("opens one comm over a subshell for all requests of a kernel connection", async () => {
    const kernel = kernelThat(answering, true);
    const control = Control.connect(kernel);
    const [sessions] = await Promise.all([control.sessions(), control.command("k", { verb: "pause" })]);
    await Control.connect(kernel).sessions();
    expect(sessions).toEqual([SESSION]);
    expect(kernel.comms.map(({ target, opened, commsOverSubshells }) => [target, opened, commsOverSubshells])).toEqual([
      ["deepseek.control", 1, "perCommTarget"],
    ]);
    expect(new Set(kernel.comms[0]!.sent.map(({ id }) => id)).size).toBe(3);
  });

  it.each([
    ["the front end knows no subshells", undefined, "jupyterlab"],
    ["the Jupyter kernel has no subshells", false, "ipykernel"],
  ])("asks without a subshell where %s, and says what to install if no answer comes", async (_, supports, remedy) => {
    const kernel = kernelThat(answering, supports);
    expect(await Control.connect(kernel).sessions()).toEqual([SESSION]);
    expect(kernel.comms.map(({ commsOverSubshells }) => commsOverSubshells)).toEqual(["disabled"]);
    const asked = expect(Control.connect(kernelThat(() => undefined, supports)).sessions()).rejects.toThrow(
      `pip install -U ${remedy}`,
    );
    await vi.advanceTimersByTimeAsync(6000);
    await asked;
  });

  it("rejects with the sentence of a refusal", async () => {
    const kernel = kernelThat(({ id }) => ({ type: "answer", id, error: "The session has ended." }), true);
    await expect(Control.connect(kernel).command("k", { verb: "pause" })).rejects.toThrow("The session has ended.");
  });

  it("gives up when no answer comes, and hears none that follows no schema", async () => {
    const kernel = kernelThat(({ id }) => ({ type: "answer", id, error: null, html: "<b>" }), true);
    const asked = expect(Control.connect(kernel).sessions()).rejects.toThrow("did not answer");
    await vi.advanceTimersByTimeAsync(6000);
    await asked;
  });

  it("opens another comm when the first one is not answered, and ever more seldom", async () => {
    const kernel = kernelThat(() => undefined, false);
    const control = Control.connect(kernel);
    for (let tried = 0; tried < 9; tried += 1) {
      const asked = expect(control.sessions()).rejects.toThrow("answers between cells");
      await vi.advanceTimersByTimeAsync(6000);
      await asked;
    }
    expect(kernel.comms.map(({ sent }) => sent.length)).toEqual([1, 1, 2, 4, 1]);
  });

  it("tells at once when the Jupyter kernel closes the comm, and opens a new one next time", async () => {
    let deaf = true;
    const kernel = kernelThat((request) => (deaf ? undefined : answering(request)), true);
    const asked = expect(Control.connect(kernel).sessions()).rejects.toThrow("%load_ext deepseek");
    await vi.advanceTimersByTimeAsync(0);
    kernel.comms[0]!.onClose({ content: {} });
    kernel.comms[0]!.dispose();
    await asked;
    deaf = false;
    expect(await Control.connect(kernel).sessions()).toEqual([SESSION]);
    expect(kernel.comms.length).toBe(2);
  });

  it("tries again after it could not be opened", async () => {
    const kernel = kernelThat(answering, true);
    kernel.info = Promise.reject(new Error("not yet"));
    const control = Control.connect(kernel);
    await expect(control.sessions()).rejects.toThrow("not yet");
    kernel.info = Promise.resolve();
    expect(await control.sessions()).toEqual([SESSION]);
  });
});

describe("a follower", () => {
  async function following(ended: (reason: string) => void = () => {}) {
    const kernel = kernelThat(answering, true);
    const heard: [unknown, number][] = [];
    const stop = await Control.connect(kernel).follow("k", (message, payload) => heard.push([message, payload.byteLength]), ended);
    const stream = kernel.comms.find(({ target }) => target === "deepseek.stream")!;
    const control = kernel.comms.find(({ target }) => target === "deepseek.control")!;
    return { stop, heard, stream, control };
  }

  it("hears the stream on a comm that it never opens and that needs no subshell", async () => {
    const { heard, stream, control, stop } = await following();
    stream.receive({ type: "setup" });
    stream.receive({ type: "snapshot" }, [new ArrayBuffer(8)]);
    expect(heard).toEqual([[{ type: "setup" }, 0], [{ type: "snapshot" }, 8]]);
    expect([stream.opened, stream.commsOverSubshells, stream.sent]).toEqual([0, "disabled", []]);
    expect(control.sent).toEqual([{ type: "follow", session: "k", stream: stream.commId, id: 1 }]);
    stop();
  });

  it("gives signs of life until it stops, and then hears nothing", async () => {
    const { heard, stream, control, stop } = await following();
    await vi.advanceTimersByTimeAsync(61_000);
    expect(control.sent.map(({ type }) => type)).toEqual(["follow", "sessions", "sessions"]);
    stop();
    await vi.advanceTimersByTimeAsync(61_000);
    stream.receive({ type: "increment" });
    expect(heard).toEqual([]);
    expect(control.sent.at(-1)).toMatchObject({ type: "unfollow", stream: stream.commId });
    expect(control.sent.length).toBe(4);
    expect(stream.isDisposed).toBe(true);
  });

  it("is told why the stream ended", async () => {
    const reasons: string[] = [];
    const { stream } = await following((reason) => reasons.push(reason));
    stream.receive({ type: "end", reason: "The training has ended." });
    expect(reasons).toEqual(["The training has ended."]);
    expect(stream.isDisposed).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("leaves no comm behind when it is refused", async () => {
    const kernel = kernelThat(({ id }) => ({ type: "answer", id, error: "no" }), true);
    await expect(Control.connect(kernel).follow("k", () => {})).rejects.toThrow("no");
    expect(kernel.comms.find(({ target }) => target === "deepseek.stream")!.isDisposed).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("that was answered too late is ended", async () => {
    const kernel = kernelThat(({ type, id }) => (type === "follow" ? undefined : { type: "answer", id, error: null }), true);
    const heard: unknown[] = [];
    const following = expect(Control.connect(kernel).follow("k", (message) => heard.push(message))).rejects.toThrow("did not answer");
    await vi.advanceTimersByTimeAsync(6000);
    await following;
    const [stream, control] = ["deepseek.stream", "deepseek.control"].map((name) => kernel.comms.find(({ target }) => target === name)!);
    expect(stream!.isDisposed).toBe(true);
    stream!.receive({ type: "setup" });
    expect(heard).toEqual([]);
    expect(control!.sent.at(-1)).toMatchObject({ type: "unfollow", stream: stream!.commId });
  });
});
