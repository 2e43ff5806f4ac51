// The page of an explanation alone: everything it shows lies in the page.
import { type Carried, mountExplanations } from "./explanation_page";

const data = JSON.parse(document.getElementById("deepseek-data")!.textContent!) as { explanations: Carried[] };
mountExplanations(document.getElementById("deepseek-live")!, data.explanations);
document.documentElement.classList.add("deepseek-ready");
