// Gets to know a Jupyter kernel that runs a cell, as after a reload of the page: JupyterLab asks its main shell, which
// answers only when the cell has ended.
import { type Kernel, KernelMessage } from "@jupyterlab/services";

/** An idle Jupyter kernel has answered by then. */
const PATIENCE_MS = 150;

/** Resolves when the connection knows what its Jupyter kernel can do. */
export async function acquaint(kernel: Kernel.IKernelConnection): Promise<void> {
  const asked = kernel.info.then(() => true);
  const late = new Promise<false>((resolve) => setTimeout(() => resolve(false), PATIENCE_MS));
  if (!(await Promise.race([asked, late]))) await Promise.race([asked, askSubshell(kernel)]);
}

/** Asks a subshell, which answers at once; a Jupyter kernel without subshells makes none. */
async function askSubshell(kernel: Kernel.IKernelConnection): Promise<void> {
  sendHeldBack(kernel);
  const request = KernelMessage.createMessage<KernelMessage.ICreateSubshellRequestMsg>({
    channel: "control",
    content: {},
    msgType: "create_subshell_request",
    session: kernel.clientId,
    username: kernel.username,
  });
  const reply = await kernel.sendControlMessage(request, true).done;
  const { subshell_id } = reply.content as { subshell_id: string };
  kernel.subshellId = subshell_id;
  const told = kernel.requestKernelInfo();
  kernel.subshellId = null;
  await told;
  kernel.requestDeleteSubshell({ subshell_id });
}

/** JupyterLab holds messages back until the main shell has answered, but sends them after three seconds all the same. */
function sendHeldBack(kernel: Kernel.IKernelConnection): void {
  (kernel as { _sendPending?(): void })._sendPending?.();
}
