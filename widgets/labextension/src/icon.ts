// The workbench's icon: layers over steps, one of them hot.
import { LabIcon } from "@jupyterlab/ui-components";

const SVG = `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161">
    <rect x="3" y="3" width="5" height="5" rx="1"/>
    <rect x="9.5" y="3" width="5" height="5" rx="1" opacity="0.7"/>
    <rect x="16" y="3" width="5" height="5" rx="1" opacity="0.45"/>
    <rect x="3" y="9.5" width="5" height="5" rx="1" opacity="0.7"/>
    <rect x="9.5" y="9.5" width="5" height="5" rx="1"/>
    <rect x="3" y="16" width="5" height="5" rx="1" opacity="0.45"/>
    <rect x="9.5" y="16" width="5" height="5" rx="1" opacity="0.7"/>
    <rect x="16" y="16" width="5" height="5" rx="1"/>
  </g>
  <rect class="jp-icon-warn0" fill="#f57c00" x="16" y="9.5" width="5" height="5" rx="1"/>
</svg>`;

export const icon = new LabIcon({ name: "deepseek-workbench:icon", svgstr: SVG });
