// The page of an explanation alone: everything it shows lies in the page.
import { mountExplanations } from "./explanation_page";

const data = JSON.parse(document.getElementById("deepseek-data")?.textContent ?? "null") as {
  explanations: { message: unknown; payload: string }[];
};
mountExplanations(document.getElementById("deepseek-live")!, data.explanations);
document.documentElement.classList.add("deepseek-ready");
