"use strict";(self.rspackChunkdeepseek_workbench=self.rspackChunkdeepseek_workbench||[]).push([[266],{924(e,t,d){var s=d(601),a=d.n(s),r=d(933),o=(d.n(r))()(a());o.push([e.id,`/* Colours: the notebook's where it has them, ours in the report. */
.deepseek-widget,
.deepseek-notice {
  --ds-page: var(--jp-layout-color1, #ffffff);
  --ds-card: var(--jp-layout-color1, #ffffff);
  --ds-inset: color-mix(in srgb, var(--ds-text) 5%, var(--ds-card));
  --ds-line: color-mix(in srgb, var(--ds-text) 15%, var(--ds-card));
  --ds-grid: #e6eaef;
  --ds-text: #1c2430;
  --ds-text-soft: #5b6675;
  --ds-accent: #255dd8;
  --ds-accent-soft: #e7effe;
  --ds-good: #18794e;
  --ds-good-soft: #e2f5ea;
  --ds-error: #c62a2f;
  --ds-error-soft: #fdebec;
  --ds-warning: #8f5700;
  --ds-warning-soft: #fff3d6;
  --ds-zero: #f7f7f8;
  --ds-positive: #c2500a;
  --ds-negative: #2457c5;
  --ds-side-a: #3e7bfa;
  --ds-side-b: #e8590c;
  --ds-shadow: 0 6px 20px rgb(16 24 40 / 16%);
  --ds-alarm: #e5484d;
  --ds-chosen: #ff4d6d;
  --ds-scale-0: #440154;
  --ds-scale-1: #3b528b;
  --ds-scale-2: #21918c;
  --ds-scale-3: #5ec962;
  --ds-scale-4: #fde725;
  --ds-on-dark: #ffffff;
  --ds-on-light: #11161d;
  color-scheme: light;
}

.deepseek-widget[data-theme="dark"] {
  --ds-page: var(--jp-layout-color1, #14181f);
  --ds-card: var(--jp-layout-color1, #14181f);
  --ds-grid: #2a323d;
  --ds-text: #e8edf4;
  --ds-text-soft: #9fabba;
  --ds-accent: #7ba6ff;
  --ds-accent-soft: #1e2d4d;
  --ds-good: #63d29b;
  --ds-good-soft: #12352a;
  --ds-error: #ff9592;
  --ds-error-soft: #43191c;
  --ds-warning: #ffca5c;
  --ds-warning-soft: #3b2b0a;
  --ds-zero: #1d232c;
  --ds-positive: #ffae70;
  --ds-negative: #8ab4ff;
  --ds-shadow: 0 6px 20px rgb(0 0 0 / 55%);
  color-scheme: dark;
}

.deepseek-widget {
  box-sizing: border-box;
  container-type: inline-size;
  width: 100%;
  color: var(--ds-text);
  font: 13px/1.45 var(--jp-ui-font-family, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif);
}

.deepseek-widget *,
.deepseek-widget *::before {
  box-sizing: border-box;
}

.deepseek-widget [hidden] {
  display: none !important;
}

.deepseek-widget h2,
.deepseek-widget h3,
.deepseek-widget p,
.deepseek-widget dl,
.deepseek-widget dd,
.deepseek-widget ul {
  margin: 0;
  padding: 0;
}

.deepseek-widget button,
.deepseek-widget select {
  color: inherit;
  font: inherit;
}

.deepseek-widget :focus-visible {
  outline: 2px solid var(--ds-accent);
  outline-offset: 1px;
  border-radius: 4px;
}

.ds-page {
  overflow: hidden;
  border: 1px solid var(--ds-line);
  border-radius: 10px;
  background: var(--ds-page);
}

/* Header */
.ds-header {
  display: flex;
  flex-wrap: wrap;
  gap: 10px 24px;
  align-items: center;
  justify-content: space-between;
  padding: 12px 16px;
  background: var(--ds-inset);
}

.ds-name {
  display: flex;
  gap: 10px;
  align-items: center;
  min-width: 0;
}

.deepseek-widget .ds-title {
  overflow: hidden;
  max-width: 320px;
  color: var(--ds-text);
  font-size: 16px;
  font-weight: 650;
  line-height: 1.3;
  text-overflow: ellipsis;
  white-space: nowrap;
}

.ds-state {
  display: inline-flex;
  gap: 6px;
  align-items: center;
  padding: 1px 9px 1px 8px;
  border-radius: 999px;
  background: var(--ds-inset);
  color: var(--ds-text-soft);
  font-size: 12px;
  font-weight: 550;
}

.ds-state::before {
  width: 7px;
  height: 7px;
  border-radius: 50%;
  background: currentcolor;
  content: "";
}

.ds-state[data-state="running"] {
  background: var(--ds-good-soft);
  color: var(--ds-good);
}

.ds-state[data-state="paused"],
.ds-state[data-state="interrupted"] {
  background: var(--ds-warning-soft);
  color: var(--ds-warning);
}

@media (prefers-reduced-motion: no-preference) {
  .ds-state[data-state="running"]::before {
    animation: ds-pulse 1.6s ease-in-out infinite;
  }
}

@keyframes ds-pulse {
  50% {
    opacity: 0.35;
  }
}

.deepseek-widget .ds-tiles {
  display: flex;
  flex-wrap: wrap;
  gap: 6px 26px;
}

.deepseek-widget .ds-tile dt,
.deepseek-widget .ds-tile dd {
  float: none;
  width: auto;
}

.deepseek-widget .ds-tile dt {
  color: var(--ds-text-soft);
  font-size: 11px;
  font-weight: 400;
  line-height: 1.3;
}

.deepseek-widget .ds-tile dd {
  font-size: 15px;
  font-variant-numeric: tabular-nums;
  font-weight: 600;
  line-height: 1.3;
  white-space: nowrap;
}

.ds-tile small {
  margin-left: 6px;
  color: var(--ds-text-soft);
  font-size: 11px;
  font-weight: 400;
}

.ds-tile small:empty {
  display: none;
}

.ds-tile.ds-alarm dd {
  color: var(--ds-error);
}

/* Control bar */
.ds-control {
  display: flex;
  flex-wrap: wrap;
  gap: 6px 16px;
  align-items: center;
  padding: 8px 16px;
  border-top: 1px solid var(--ds-line);
}

.ds-control fieldset,
.ds-control form {
  display: flex;
  flex-wrap: wrap;
  gap: 6px;
  align-items: center;
  min-width: 0;
  margin: 0;
  padding: 0;
  border: 0;
}

.ds-control form {
  margin-left: 12px;
}

.ds-control fieldset:disabled form {
  display: none;
}

.ds-control label {
  display: inline-flex;
  gap: 6px;
  align-items: center;
  margin: 0;
  color: var(--ds-text-soft);
  font-size: 12px;
}

.deepseek-widget .ds-control button,
.deepseek-widget .ds-control input,
.deepseek-widget .ds-graph-search input,
.deepseek-widget .ds-graph-buttons button,
.deepseek-widget .ds-graph-time button {
  width: auto;
  height: 26px;
  margin: 0;
  padding: 0 10px;
  border: 1px solid var(--ds-line);
  border-radius: 6px;
  background: var(--ds-card);
  color: var(--ds-text);
  font-size: 12px;
}

.deepseek-widget .ds-control button {
  cursor: pointer;
}

.deepseek-widget .ds-control button:hover:enabled {
  background: var(--ds-inset);
}

.deepseek-widget .ds-control button:disabled {
  color: var(--ds-text-soft);
  cursor: default;
  opacity: 0.6;
}

.ds-control fieldset[data-state="paused"] button:first-child:enabled {
  border-color: var(--ds-accent);
  background: var(--ds-accent-soft);
  color: var(--ds-accent);
  font-weight: 600;
}

/* Cards */
.ds-card {
  min-width: 0;
  padding: 14px 16px;
  border-top: 1px solid var(--ds-line);
  background: var(--ds-card);
}

.ds-columns {
  display: grid;
  grid-template-columns: minmax(0, 3fr) minmax(0, 2fr);
}

.ds-columns > .ds-card + .ds-card {
  border-left: 1px solid var(--ds-line);
}

.ds-section-head {
  display: flex;
  flex-wrap: wrap;
  gap: 6px 12px;
  align-items: center;
  margin-bottom: 8px;
}

.deepseek-widget h3 {
  color: var(--ds-text);
  font-size: 13px;
  font-weight: 650;
  line-height: 1.4;
}

.ds-note,
.ds-type {
  color: var(--ds-text-soft);
  font-size: 12px;
}

.ds-empty {
  padding: 10px 0;
  color: var(--ds-text-soft);
}

.deepseek-widget select {
  max-width: 300px;
  padding: 2px 6px;
  border: 1px solid var(--ds-line);
  border-radius: 6px;
  background: var(--ds-card);
}

.ds-plot {
  width: 100%;
  min-width: 0;
}

/* Heat map */
.ds-stage {
  position: relative;
}

.ds-heatmap {
  display: grid;
  grid-template-columns: max-content minmax(0, 1fr) max-content;
  gap: 4px 8px;
  color: var(--ds-text-soft);
  font-size: 11px;
  font-variant-numeric: tabular-nums;
}

.ds-heat-labels span {
  display: block;
  text-align: right;
  white-space: pre;
}

.ds-heat-cells {
  position: relative;
  cursor: pointer;
}

.ds-heat-cells canvas {
  display: block;
  width: 100%;
  height: 100%;
  image-rendering: pixelated;
}

.ds-heat-chosen {
  position: absolute;
  inset: 0;
  outline: 2px solid var(--ds-chosen);
  pointer-events: none;
}

.ds-heat-bar {
  display: flex;
  gap: 6px;
}

.ds-heat-ramp {
  width: 10px;
  background: linear-gradient(
    to top,
    var(--ds-scale-0),
    var(--ds-scale-1),
    var(--ds-scale-2),
    var(--ds-scale-3),
    var(--ds-scale-4)
  );
}

.ds-heat-marks {
  position: relative;
  width: 42px;
}

.ds-heat-marks span {
  position: absolute;
  transform: translateY(50%);
  line-height: 1;
}

.ds-heat-steps {
  position: relative;
  grid-column: 2;
  height: 15px;
}

.ds-heat-steps span {
  position: absolute;
  transform: translateX(-50%);
}

.ds-heat-axis {
  grid-column: 2;
  text-align: center;
}

.ds-tabs {
  display: inline-flex;
  flex-wrap: wrap;
  gap: 2px;
  margin: 0 0 0 auto;
  padding: 2px;
  border: 0;
  border-radius: 8px;
  background: var(--ds-inset);
}

.ds-tabs label {
  position: relative;
  cursor: pointer;
}

.ds-tabs input {
  position: absolute;
  inset: 0;
  margin: 0;
  opacity: 0;
  cursor: pointer;
}

.ds-tabs span {
  display: block;
  padding: 2px 10px;
  border-radius: 6px;
  color: var(--ds-text-soft);
  font-size: 12px;
}

.ds-tabs input:checked + span {
  background: var(--ds-card);
  box-shadow: 0 1px 2px rgb(0 0 0 / 18%);
  color: var(--ds-text);
  font-weight: 600;
}

.ds-tabs input:focus-visible + span {
  outline: 2px solid var(--ds-accent);
}

.ds-tablist {
  display: flex;
  gap: 4px;
  padding: 0 16px;
  border-bottom: 1px solid var(--ds-line);
}

.ds-tablist button {
  padding: 7px 10px;
  border: 0;
  border-bottom: 2px solid transparent;
  background: none;
  color: var(--ds-text-soft);
  cursor: pointer;
}

.ds-tablist button[aria-selected="true"] {
  border-color: var(--ds-accent);
  color: var(--ds-text);
  font-weight: 600;
}

.ds-foot {
  display: flex;
  gap: 16px;
  justify-content: space-between;
  margin-top: 4px;
  color: var(--ds-text-soft);
  font-size: 12px;
}

.ds-legend {
  white-space: nowrap;
}

.ds-swatch {
  display: inline-block;
  width: 10px;
  height: 10px;
  margin-right: 6px;
  border-radius: 2px;
  background: var(--ds-alarm);
}

.ds-tip {
  position: absolute;
  z-index: 10;
  display: grid;
  max-width: 360px;
  padding: 6px 10px;
  border: 1px solid var(--ds-line);
  border-radius: 7px;
  background: var(--ds-card);
  box-shadow: var(--ds-shadow);
  font-size: 12px;
  font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere;
  pointer-events: none;
}

/* Lines of one layer */
.ds-lines {
  display: grid;
  grid-template-columns: repeat(4, minmax(0, 1fr));
  gap: 8px 14px;
}

.ds-line .ds-empty {
  display: grid;
  min-height: 120px;
  padding: 12px;
  border: 1px dashed var(--ds-line);
  border-radius: 8px;
  place-items: center;
  text-align: center;
}

/* A closer look at one layer */
.ds-ask {
  display: inline-flex;
  flex-wrap: wrap;
  gap: 6px;
  align-items: center;
  margin-left: auto;
}

.deepseek-widget .ds-ask button {
  height: 26px;
  margin: 0;
  padding: 0 10px;
  border: 1px solid var(--ds-line);
  border-radius: 6px;
  background: var(--ds-card);
  color: var(--ds-text);
  cursor: pointer;
  font-size: 12px;
}

.deepseek-widget .ds-ask button:hover:enabled {
  background: var(--ds-inset);
}

.deepseek-widget .ds-ask button:disabled {
  color: var(--ds-text-soft);
  cursor: default;
  opacity: 0.6;
}

.deepseek-widget .ds-ask button[aria-pressed="true"] {
  border-color: var(--ds-accent);
  background: var(--ds-accent-soft);
  color: var(--ds-accent);
  font-weight: 600;
}

.ds-detail {
  margin-top: 10px;
}

.ds-histograms,
.ds-pictures {
  display: grid;
  grid-template-columns: repeat(auto-fill, minmax(min(300px, 100%), 1fr));
  gap: 14px 24px;
  margin-top: 12px;
}

.ds-histogram,
.ds-units,
.ds-picture {
  min-width: 0;
}

.deepseek-widget h4 {
  margin: 0;
  padding: 0;
  color: var(--ds-text);
  font-size: 12px;
  font-weight: 600;
  overflow-wrap: anywhere;
}

.ds-histogram svg {
  display: block;
  width: 100%;
  max-width: 420px;
}

.ds-histogram text {
  fill: var(--ds-text-soft);
  font-size: 9px;
}

.ds-bar {
  fill: var(--ds-accent);
}

.ds-axis {
  stroke: var(--ds-line);
}

.ds-normal,
.ds-subnormal {
  stroke: var(--ds-text-soft);
  stroke-width: 3;
}

.ds-subnormal {
  stroke-dasharray: 3 2;
  stroke-width: 2;
}

.deepseek-widget .ds-histogram th[scope="row"] {
  font-weight: 400;
}

.deepseek-widget .ds-histogram .ds-lost {
  color: var(--ds-error);
  font-weight: 600;
}

.ds-units canvas,
.ds-picture canvas {
  display: block;
  width: 100%;
  max-width: 420px;
  margin-top: 6px;
  border: 1px solid var(--ds-line);
  image-rendering: pixelated;
}

.ds-scale {
  display: flex;
  gap: 8px;
  align-items: center;
  max-width: 420px;
  margin-top: 4px;
  color: var(--ds-text-soft);
  font-size: 12px;
}

.deepseek-widget .ds-swatch-dead {
  background: var(--ds-error);
}

.deepseek-widget .ds-swatch-rare {
  background: color-mix(in srgb, var(--ds-accent) 25%, var(--ds-accent-soft));
}

.deepseek-widget .ds-swatch-live {
  background: var(--ds-accent);
}

.ds-diverging {
  flex: 1;
  height: 8px;
  background: linear-gradient(to right, var(--ds-negative), var(--ds-zero), var(--ds-positive));
}

/* Findings */
.ds-findings {
  overflow-y: auto;
  max-height: 196px;
  list-style: none;
}

.ds-findings li {
  margin: 0;
  padding: 8px 0;
  border-top: 1px solid var(--ds-line);
  overflow-wrap: anywhere;
}

.ds-findings li:first-child {
  padding-top: 0;
  border-top: 0;
}

.ds-where {
  display: flex;
  flex-wrap: wrap;
  gap: 2px 8px;
  align-items: center;
}

.ds-findings button,
.ds-flow td button,
.ds-gates th button,
.ds-verdict button,
.ds-compare td button {
  padding: 0;
  border: 0;
  background: none;
  color: var(--ds-accent);
  cursor: pointer;
  text-align: left;
}

.ds-findings button:hover,
.ds-flow td button:hover,
.ds-gates th button:hover,
.ds-verdict button:hover,
.ds-compare td button:hover {
  text-decoration: underline;
}

.ds-badge {
  padding: 0 7px;
  border-radius: 4px;
  background: var(--ds-accent-soft);
  color: var(--ds-accent);
  font-size: 11px;
  font-weight: 650;
}

.ds-badge[data-severity="warning"] {
  background: var(--ds-warning-soft);
  color: var(--ds-warning);
}

.ds-badge[data-severity="error"] {
  background: var(--ds-error-soft);
  color: var(--ds-error);
}

.ds-twin tbody th {
  font-weight: 400;
}

.deepseek-widget summary {
  color: var(--ds-text-soft);
  cursor: pointer;
  font-size: 12px;
}

.deepseek-widget .ds-findings dl {
  display: grid;
  grid-template-columns: max-content 1fr;
  gap: 0 14px;
  margin-top: 4px;
  font-size: 12px;
}

.deepseek-widget .ds-findings dt {
  float: none;
  width: auto;
  color: var(--ds-text-soft);
  font-weight: 400;
}

.deepseek-widget .ds-findings dd {
  float: none;
  width: auto;
  font-variant-numeric: tabular-nums;
}

/* Tensor flow */
.ds-scroll {
  overflow: auto;
  max-height: 300px;
  margin-top: 8px;
}

.deepseek-widget table {
  width: 100%;
  margin: 0;
  border: 0;
  border-collapse: collapse;
  font-size: 12px;
  font-variant-numeric: tabular-nums;
}

.deepseek-widget th,
.deepseek-widget td {
  padding: 3px 12px 3px 0;
  border: 0;
  background: none;
  color: inherit;
  text-align: left;
  white-space: nowrap;
}

.deepseek-widget thead th {
  position: sticky;
  top: 0;
  background: var(--ds-card);
  box-shadow: inset 0 -1px var(--ds-line);
  color: var(--ds-text-soft);
  font-weight: 500;
}

.deepseek-widget .ds-number {
  text-align: right;
}

.deepseek-widget tbody tr {
  background: none;
}

.deepseek-widget tbody tr:hover {
  background: var(--ds-inset);
}

.deepseek-widget tbody tr.ds-chosen {
  background: var(--ds-accent-soft);
}

.deepseek-widget tbody tr.ds-alarm td:last-child {
  color: var(--ds-error);
  font-weight: 650;
}

/* Comparison of two steps */
.ds-steps {
  display: flex;
  flex-wrap: wrap;
  gap: 6px 24px;
  margin-left: auto;
}

.ds-step {
  display: inline-flex;
  gap: 8px;
  align-items: center;
}

.ds-sign {
  width: 9px;
  height: 9px;
  background: var(--ds-side-b);
}

.ds-sign-a {
  border-radius: 50%;
  background: var(--ds-side-a);
}

.deepseek-widget .ds-step input[type="range"] {
  width: 140px;
  margin: 0;
  accent-color: var(--ds-accent);
}

.deepseek-widget .ds-step input[type="number"] {
  width: 90px;
  height: 26px;
  margin: 0;
  padding: 0 8px;
  border: 1px solid var(--ds-line);
  border-radius: 6px;
  background: var(--ds-card);
  color: var(--ds-text);
  font: inherit;
}

.ds-verdict {
  display: grid;
  gap: 2px;
  margin-bottom: 8px;
  overflow-wrap: anywhere;
}

.deepseek-widget .ds-verdict button {
  font-weight: 600;
}

.ds-pair {
  display: grid;
  grid-template-columns: repeat(2, minmax(0, 1fr));
  gap: 8px 14px;
  cursor: pointer;
}

/* Graph */
.ds-graph-search,
.ds-graph-buttons,
.ds-graph-time,
.deepseek-widget .ds-graph-legend {
  display: inline-flex;
  flex-wrap: wrap;
  gap: 4px 8px;
  align-items: center;
}

.ds-graph-buttons {
  gap: 4px;
  margin-left: auto;
}

.deepseek-widget .ds-graph-search input {
  width: 170px;
}

.deepseek-widget .ds-graph-buttons button:hover,
.deepseek-widget .ds-graph-time button:hover:enabled {
  background: var(--ds-inset);
}

.deepseek-widget .ds-graph-time button:disabled {
  color: var(--ds-text-soft);
}

.deepseek-widget .ds-graph-note {
  margin-bottom: 8px;
  padding: 6px 10px;
  border-radius: 6px;
  background: var(--ds-warning-soft);
  color: var(--ds-warning);
}

.ds-graph-stage {
  display: block;
  width: 100%;
  height: 560px;
  border: 1px solid var(--ds-line);
  border-radius: 8px;
  background: var(--ds-card);
  cursor: grab;
  touch-action: none;
  user-select: none;
}

.ds-graph-stage:active {
  cursor: grabbing;
}

.ds-graph-stage .ds-box {
  cursor: pointer;
}

.ds-graph-stage .ds-box:focus {
  outline: none;
}

.ds-box-shape {
  fill: var(--ds-fill, var(--ds-inset));
  stroke: var(--ds-line);
  stroke-width: 1.2;
}

.ds-box[data-open="true"] .ds-box-shape {
  fill: var(--ds-inset);
}

.ds-box[data-kind="input"] .ds-box-shape,
.ds-box[data-kind="output"] .ds-box-shape {
  fill: var(--ds-accent-soft);
  stroke: var(--ds-accent);
}

.ds-box[data-kind="module"] .ds-box-shape {
  stroke-dasharray: 4 3;
}

.ds-box[data-chosen="true"] .ds-box-shape {
  stroke: var(--ds-accent);
  stroke-width: 2.5;
}

.ds-box[data-match="true"] .ds-box-shape,
.ds-box[data-match="current"] .ds-box-shape {
  stroke: var(--ds-warning);
  stroke-width: 2.5;
}

.ds-box[data-match="current"] .ds-box-shape {
  stroke-width: 4.5;
}

.ds-box:focus-visible .ds-box-shape {
  stroke: var(--ds-text);
  stroke-width: 3.5;
}

.ds-graph-stage text {
  fill: var(--ds-text);
  font-size: 11px;
  pointer-events: none;
}

.ds-graph-stage .ds-box-name {
  font-size: 12px;
  font-weight: 600;
}

.ds-box[data-tone="dark"] text {
  fill: var(--ds-on-dark);
}

.ds-box:is([data-tone="light"], [data-tone="alarm"]) text {
  fill: var(--ds-on-light);
}

.ds-box-mark {
  fill: var(--ds-error);
  stroke: var(--ds-card);
  stroke-width: 2;
  visibility: hidden;
}

.ds-box[data-finding="true"] .ds-box-mark {
  visibility: visible;
}

.ds-box-toggle rect {
  fill: var(--ds-card);
  stroke: var(--ds-line);
}

.ds-box-toggle path {
  stroke: var(--ds-text);
  stroke-width: 1.6;
}

.ds-link-area {
  fill: none;
  stroke: transparent;
  stroke-width: 10;
}

.ds-link-line {
  fill: none;
  stroke: var(--ds-text-soft);
  opacity: 0.65;
}

.ds-link-arrow {
  fill: var(--ds-text-soft);
}

.ds-link[data-tied="true"] .ds-link-line {
  stroke-dasharray: 5 4;
}

.ds-link:hover .ds-link-line {
  stroke: var(--ds-accent);
  opacity: 1;
}

.ds-graph-stage .ds-link-label {
  fill: var(--ds-text-soft);
  paint-order: stroke;
  stroke: var(--ds-card);
  stroke-linejoin: round;
  stroke-width: 3;
}

.ds-graph-foot {
  display: flex;
  flex-wrap: wrap;
  gap: 6px 24px;
  align-items: center;
  justify-content: space-between;
  margin: 8px 0;
  color: var(--ds-text-soft);
  font-size: 12px;
  font-variant-numeric: tabular-nums;
}

.ds-graph-time output {
  min-width: 48px;
  text-align: right;
}

.ds-ramp {
  width: 120px;
  height: 10px;
  border-radius: 2px;
  background: linear-gradient(
    to right,
    var(--ds-scale-0),
    var(--ds-scale-1),
    var(--ds-scale-2),
    var(--ds-scale-3),
    var(--ds-scale-4)
  );
}

.ds-graph-legend .ds-unmeasured {
  border: 1px solid var(--ds-line);
  background: var(--ds-inset);
}

/* Precision of layers over revisions */
.deepseek-widget .ds-map table {
  width: auto;
}

.ds-dtypes {
  display: inline-flex;
  flex-wrap: wrap;
  gap: 4px 14px;
  color: var(--ds-text-soft);
  font-size: 12px;
}

.deepseek-widget .ds-map :is(th, td) {
  padding: 1px 10px 1px 0;
}

.deepseek-widget .ds-map :is(tbody, tfoot) th {
  font-weight: 400;
}

.deepseek-widget .ds-map small {
  display: block;
  font-weight: 400;
}

.deepseek-widget .ds-map tfoot tr:first-child > * {
  padding-top: 6px;
}

.deepseek-widget .ds-map tbody tr:hover {
  background: none;
}

.deepseek-widget .ds-map button {
  width: 100%;
  min-width: 52px;
  margin: 0;
  padding: 1px 8px;
  border: 2px solid transparent;
  border-radius: 4px;
  cursor: pointer;
}

.deepseek-widget .ds-map button[aria-pressed="true"] {
  border-color: var(--ds-accent);
}

.deepseek-widget :is(.ds-map, .ds-dtypes) [data-dtype] {
  padding: 1px 8px;
  border-radius: 4px;
  background: var(--ds-inset);
  color: var(--ds-text);
  font-weight: 500;
}

.deepseek-widget :is(.ds-map, .ds-dtypes) [data-dtype="float16"] {
  background: var(--ds-accent-soft);
  color: var(--ds-accent);
}

.deepseek-widget :is(.ds-map, .ds-dtypes) [data-dtype="bfloat16"] {
  background: var(--ds-good-soft);
  color: var(--ds-good);
}

.deepseek-widget :is(.ds-map, .ds-dtypes) [data-harm] {
  background: var(--ds-error-soft);
  color: var(--ds-error);
  font-weight: 650;
}

.deepseek-widget .ds-dtypes [data-harm] {
  padding: 1px 8px;
  border-radius: 4px;
}

.ds-map [data-harm]::after {
  content: " !";
}

.deepseek-widget .ds-evidence {
  margin: 10px 0;
  font-size: 12px;
  overflow-wrap: anywhere;
}

.deepseek-widget .ds-evidence dl {
  display: grid;
  grid-template-columns: max-content 1fr;
  gap: 0 14px;
  margin-top: 4px;
}

.deepseek-widget .ds-evidence :is(dt, dd) {
  float: none;
  width: auto;
  font-variant-numeric: tabular-nums;
}

.deepseek-widget .ds-evidence dt {
  color: var(--ds-text-soft);
  font-weight: 400;
}

/* Sparse gates */
.ds-blocks {
  display: inline-flex;
  gap: 2px;
  vertical-align: middle;
}

.ds-blocks span {
  width: 14px;
  height: 14px;
  border: 1px solid var(--ds-line);
  border-radius: 2px;
  background: color-mix(in srgb, var(--ds-accent) var(--ds-share), var(--ds-card));
}

.deepseek-widget .ds-gates tbody th {
  font-weight: 400;
}

/* Explain */
.ds-explanations,
.ds-explanations .deepseek-widget {
  margin-top: 16px;
}

.ds-choices,
.ds-choice {
  display: inline-flex;
  flex-wrap: wrap;
  gap: 6px 16px;
  align-items: center;
}

.deepseek-widget .ds-choice {
  gap: 6px;
  margin: 0;
  color: var(--ds-text-soft);
  font-size: 12px;
}

.deepseek-widget .ds-choice select {
  color: var(--ds-text);
}

.deepseek-widget .ds-name:has(.ds-note) {
  flex-wrap: wrap;
  gap: 2px 10px;
}

.deepseek-widget .ds-notes {
  margin: 0;
  color: var(--ds-warning);
  font-size: 12px;
  list-style: none;
  overflow-wrap: anywhere;
}

.ds-trust .ds-notes {
  margin-top: 8px;
}

.deepseek-widget .ds-notes.ds-card {
  padding: 8px 16px;
}

.ds-control > form:first-child {
  margin-left: 0;
}

.ds-control .ds-said[data-state="failed"] {
  color: var(--ds-error);
}

.ds-beside {
  display: grid;
  grid-template-columns: repeat(auto-fit, minmax(min(340px, 100%), 1fr));
  gap: 4px 28px;
  align-items: start;
}

.deepseek-widget .ds-words {
  margin: 8px 0;
  line-height: 1.5;
}

.ds-words span {
  display: inline-block;
  margin: 0 0 6px;
  padding: 1px 5px;
  border: 1px solid var(--ds-line);
  border-radius: 4px;
  vertical-align: top;
  overflow-wrap: anywhere;
}

.ds-words small {
  display: block;
  font-size: 10px;
  font-variant-numeric: tabular-nums;
}

.ds-bars {
  display: grid;
  grid-template-columns: fit-content(45%) minmax(80px, 1fr) max-content;
  gap: 4px 12px;
  align-items: center;
  max-width: 900px;
  margin: 8px 0;
}

.ds-bar-line {
  display: contents;
}

.ds-bar-label {
  overflow-wrap: anywhere;
  text-align: right;
}

.ds-track {
  position: relative;
  height: 16px;
  background: linear-gradient(var(--ds-text-soft), var(--ds-text-soft)) center / 1px 100% no-repeat;
}

.ds-track > * {
  position: absolute;
}

.ds-raised,
.ds-lowered {
  top: 1px;
  bottom: 1px;
  background: var(--ds-positive);
}

.ds-lowered {
  background: var(--ds-negative);
}

.ds-interval {
  top: 7px;
  height: 2px;
  background: var(--ds-text);
}

.deepseek-widget .ds-bars .ds-number {
  font-variant-numeric: tabular-nums;
}

.deepseek-widget figure {
  min-width: 0;
  margin: 0;
}

.ds-explained {
  display: flex;
  flex-wrap: wrap;
  gap: 16px;
  margin: 8px 0;
}

.ds-explained figure {
  flex: 1 1 220px;
  max-width: 420px;
}

.ds-explained canvas,
.ds-one-head canvas {
  display: block;
  width: 100%;
  max-width: 420px;
  border: 1px solid var(--ds-line);
  image-rendering: pixelated;
}

.ds-one-head canvas {
  max-width: 520px;
  margin-top: 6px;
}

.ds-heads {
  overflow-x: auto;
}

.deepseek-widget .ds-heads table {
  width: auto;
}

.deepseek-widget .ds-heads thead th {
  position: static;
  box-shadow: none;
  text-align: center;
}

.deepseek-widget .ds-heads tbody th {
  font-weight: 400;
  text-align: right;
}

.deepseek-widget .ds-heads :is(td, thead th) {
  padding: 2px;
}

.deepseek-widget .ds-heads tbody tr:hover {
  background: none;
}

.deepseek-widget .ds-heads button {
  display: block;
  margin: 0;
  padding: 2px;
  border: 2px solid transparent;
  border-radius: 4px;
  background: none;
  cursor: pointer;
}

.deepseek-widget .ds-heads button[aria-pressed="true"] {
  border-color: var(--ds-accent);
}

.ds-heads canvas {
  display: block;
  width: 48px;
  height: 48px;
  image-rendering: pixelated;
}

.ds-scale .ds-ramp {
  flex: 1;
}

.deepseek-widget .ds-tokens {
  line-height: 2;
}

.ds-tokens span {
  display: inline-block;
  margin: 0 3px 3px 0;
  padding: 0 5px;
  border: 1px solid var(--ds-line);
  border-radius: 4px;
  font-family: var(--jp-code-font-family, ui-monospace, monospace);
  line-height: 1.6;
  white-space: pre-wrap;
}

.deepseek-notice {
  margin: 0 0 8px;
  padding: 8px 12px;
  border-radius: 8px;
  background: var(--ds-warning-soft);
  color: var(--ds-warning);
}

.deepseek-notice[hidden] {
  display: none;
}

@container (max-width: 820px) {
  .ds-lines {
    grid-template-columns: repeat(2, minmax(0, 1fr));
  }
}

@container (max-width: 620px) {
  .ds-columns {
    grid-template-columns: minmax(0, 1fr);
  }

  .ds-columns > .ds-card + .ds-card {
    border-left: 0;
  }

  .ds-pair {
    grid-template-columns: minmax(0, 1fr);
  }

  .ds-steps {
    margin-left: 0;
  }

  .ds-tabs {
    margin-left: 0;
  }
}
`,""]),d.d(t,{},{A:o})},646(e,t,d){var s=d(601),a=d.n(s),r=d(933),o=d.n(r),i=d(924),n=o()(a());n.i(i.A),n.push([e.id,`.deepseek-panel {
  overflow: hidden auto;
  min-width: 300px;
  background: var(--jp-layout-color1);
  color: var(--jp-ui-font-color1);
  font-family: var(--jp-ui-font-family);
  font-size: var(--jp-ui-font-size1);
}

.deepseek-panel [hidden] {
  display: none;
}

.deepseek-panel .ds-page {
  border: 0;
  border-radius: 0;
}

.deepseek-bar {
  display: flex;
  flex-wrap: wrap;
  gap: 6px;
  align-items: center;
  justify-content: flex-end;
  padding: 6px 12px;
}

.deepseek-choice {
  flex: 1 1 120px;
  min-width: 0;
  padding: 3px 6px;
  border: 1px solid var(--jp-border-color1);
  border-radius: 6px;
  background: var(--jp-layout-color1);
  color: inherit;
  font: inherit;
}

.deepseek-panel-notice {
  padding: 10px 16px;
  border-left: 3px solid var(--jp-warn-color1);
  background: var(--jp-layout-color2);
  line-height: 1.45;
}

.deepseek-panel-notice p {
  margin: 0;
}

.deepseek-empty {
  padding: 28px 20px;
  line-height: 1.5;
}

.deepseek-empty h2 {
  margin: 0 0 6px;
  font-size: 15px;
  font-weight: 650;
}

.deepseek-empty p {
  margin: 0 0 14px;
  color: var(--jp-ui-font-color2);
}

.deepseek-snippet {
  display: flex;
  flex-wrap: wrap;
  gap: 6px 8px;
  margin-top: 8px;
  padding: 7px 8px 7px 10px;
  border: 1px solid var(--jp-border-color2);
  border-radius: 6px;
  background: var(--jp-layout-color1);
}

.deepseek-snippet code {
  flex: 1 1 200px;
  min-width: 0;
  font-family: var(--jp-code-font-family);
  font-size: 12px;
  overflow-wrap: anywhere;
  user-select: all;
}

.deepseek-copy {
  margin-left: auto;
  padding: 1px 8px;
  border: 1px solid var(--jp-border-color1);
  border-radius: 4px;
  background: var(--jp-layout-color2);
  color: inherit;
  cursor: pointer;
  font-size: 11px;
}

.deepseek-inspect label {
  display: block;
  margin-bottom: 10px;
}

.deepseek-inspect input {
  width: 100%;
  margin-top: 4px;
  font-family: var(--jp-code-font-family);
}

.deepseek-inspect p {
  max-width: 360px;
  color: var(--jp-ui-font-color2);
}

.deepseek-status {
  line-height: var(--jp-statusbar-height, 24px);
  padding: 0 8px;
  font-variant-numeric: tabular-nums;
}
`,""]),d.d(t,{},{A:n})},933(e){e.exports=function(e){var t=[];return t.toString=function(){return this.map(function(t){var d="",s=void 0!==t[5];return t[4]&&(d+="@supports (".concat(t[4],") {")),t[2]&&(d+="@media ".concat(t[2]," {")),s&&(d+="@layer".concat(t[5].length>0?" ".concat(t[5]):""," {")),d+=e(t),s&&(d+="}"),t[2]&&(d+="}"),t[4]&&(d+="}"),d}).join("")},t.i=function(e,d,s,a,r){"string"==typeof e&&(e=[[null,e,void 0]]);var o={};if(s)for(var i=0;i<this.length;i++){var n=this[i][0];null!=n&&(o[n]=!0)}for(var p=0;p<e.length;p++){var l=[].concat(e[p]);s&&o[l[0]]||(void 0!==r&&(void 0===l[5]||(l[1]="@layer".concat(l[5].length>0?" ".concat(l[5]):""," {").concat(l[1],"}")),l[5]=r),d&&(l[2]&&(l[1]="@media ".concat(l[2]," {").concat(l[1],"}")),l[2]=d),a&&(l[4]?(l[1]="@supports (".concat(l[4],") {").concat(l[1],"}"),l[4]=a):l[4]="".concat(a)),t.push(l))}},t}},601(e){e.exports=function(e){return e[1]}},665(e,t,d){d.r(t);var s=d(72),a=d.n(s),r=d(825),o=d.n(r),i=d(659),n=d.n(i),p=d(56),l=d.n(p),c=d(540),g=d.n(c),x=d(113),f=d.n(x),u=d(646),h={};h.styleTagTransform=f(),h.setAttributes=l(),h.insert=n().bind(null,"head"),h.domAPI=o(),h.insertStyleElement=g(),a()(u.A,h);let b=u.A&&u.A.locals?u.A.locals:void 0;d.d(t,{},{default:b})},72(e){var t=[];function d(e){for(var d=-1,s=0;s<t.length;s++)if(t[s].identifier===e){d=s;break}return d}function s(e,s){for(var a={},r=[],o=0;o<e.length;o++){var i=e[o],n=s.base?i[0]+s.base:i[0],p=a[n]||0,l="".concat(n," ").concat(p);a[n]=p+1;var c=d(l),g={css:i[1],media:i[2],sourceMap:i[3],supports:i[4],layer:i[5]};if(-1!==c)t[c].references++,t[c].updater(g);else{var x=function(e,t){var d=t.domAPI(t);return d.update(e),function(t){t?(t.css!==e.css||t.media!==e.media||t.sourceMap!==e.sourceMap||t.supports!==e.supports||t.layer!==e.layer)&&d.update(e=t):d.remove()}}(g,s);s.byIndex=o,t.splice(o,0,{identifier:l,updater:x,references:1})}r.push(l)}return r}e.exports=function(e,a){var r=s(e=e||[],a=a||{});return function(e){e=e||[];for(var o=0;o<r.length;o++){var i=d(r[o]);t[i].references--}for(var n=s(e,a),p=0;p<r.length;p++){var l=d(r[p]);0===t[l].references&&(t[l].updater(),t.splice(l,1))}r=n}}},659(e){var t={};e.exports=function(e,d){var s=function(e){if(void 0===t[e]){var d=document.querySelector(e);if(window.HTMLIFrameElement&&d instanceof window.HTMLIFrameElement)try{d=d.contentDocument.head}catch(e){d=null}t[e]=d}return t[e]}(e);if(!s)throw Error("Couldn't find a style target. This probably means that the value for the 'insert' parameter is invalid.");s.appendChild(d)}},540(e){e.exports=function(e){var t=document.createElement("style");return e.setAttributes(t,e.attributes),e.insert(t,e.options),t}},56(e,t,d){e.exports=function(e){var t=d.nc;t&&e.setAttribute("nonce",t)}},825(e){e.exports=function(e){if("u"<typeof document)return{update:function(){},remove:function(){}};var t=e.insertStyleElement(e);return{update:function(d){var s,a,r;s="",d.supports&&(s+="@supports (".concat(d.supports,") {")),d.media&&(s+="@media ".concat(d.media," {")),(a=void 0!==d.layer)&&(s+="@layer".concat(d.layer.length>0?" ".concat(d.layer):""," {")),s+=d.css,a&&(s+="}"),d.media&&(s+="}"),d.supports&&(s+="}"),(r=d.sourceMap)&&"u">typeof btoa&&(s+="\n/*# sourceMappingURL=data:application/json;base64,".concat(btoa(unescape(encodeURIComponent(JSON.stringify(r))))," */")),e.styleTagTransform(s,t,e.options)},remove:function(){var e;null===(e=t).parentNode||e.parentNode.removeChild(e)}}}},113(e){e.exports=function(e,t){if(t.styleSheet)t.styleSheet.cssText=e;else{for(;t.firstChild;)t.removeChild(t.firstChild);t.appendChild(document.createTextNode(e))}}}}]);