"use strict";(self.rspackChunkdeepseek_workbench=self.rspackChunkdeepseek_workbench||[]).push([[266],{924(e,t,r){var d=r(601),o=r.n(d),a=r(933),s=(r.n(a))()(o());s.push([e.id,`/* Colours: the notebook's where it has them, ours in the report. */
.deepseek-widget,
.deepseek-notice {
  --ds-page: var(--jp-layout-color1, #ffffff);
  --ds-card: var(--jp-layout-color1, #ffffff);
  --ds-inset: color-mix(in srgb, var(--ds-text) 5%, var(--ds-card));
  --ds-line: color-mix(in srgb, var(--ds-text) 15%, var(--ds-card));
  --ds-grid: #e6eaef;
  --ds-text: #1c2430;
  --ds-text-soft: #5b6675;
  --ds-accent: #2f6bed;
  --ds-accent-soft: #e7effe;
  --ds-good: #18794e;
  --ds-good-soft: #e2f5ea;
  --ds-error: #c62a2f;
  --ds-error-soft: #fdebec;
  --ds-warning: #8f5700;
  --ds-warning-soft: #fff3d6;
  --ds-shadow: 0 6px 20px rgb(16 24 40 / 16%);
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
  background: var(--ds-line);
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
.deepseek-widget .ds-control input {
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

.ds-heat .ds-plot {
  cursor: pointer;
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
  background: #e5484d;
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
.ds-flow td button {
  padding: 0;
  border: 0;
  background: none;
  color: var(--ds-accent);
  cursor: pointer;
  text-align: left;
}

.ds-findings button:hover,
.ds-flow td button:hover {
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

  .ds-tabs {
    margin-left: 0;
  }
}
`,""]),r.d(t,{},{A:s})},646(e,t,r){var d=r(601),o=r.n(d),a=r(933),s=r.n(a),n=r(924),i=s()(o());i.i(n.A),i.push([e.id,`.deepseek-panel {
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

.deepseek-choice {
  width: calc(100% - 24px);
  margin: 8px 12px;
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

.deepseek-status {
  line-height: var(--jp-statusbar-height, 24px);
  padding: 0 8px;
  font-variant-numeric: tabular-nums;
}
`,""]),r.d(t,{},{A:i})},933(e){e.exports=function(e){var t=[];return t.toString=function(){return this.map(function(t){var r="",d=void 0!==t[5];return t[4]&&(r+="@supports (".concat(t[4],") {")),t[2]&&(r+="@media ".concat(t[2]," {")),d&&(r+="@layer".concat(t[5].length>0?" ".concat(t[5]):""," {")),r+=e(t),d&&(r+="}"),t[2]&&(r+="}"),t[4]&&(r+="}"),r}).join("")},t.i=function(e,r,d,o,a){"string"==typeof e&&(e=[[null,e,void 0]]);var s={};if(d)for(var n=0;n<this.length;n++){var i=this[n][0];null!=i&&(s[i]=!0)}for(var p=0;p<e.length;p++){var l=[].concat(e[p]);d&&s[l[0]]||(void 0!==a&&(void 0===l[5]||(l[1]="@layer".concat(l[5].length>0?" ".concat(l[5]):""," {").concat(l[1],"}")),l[5]=a),r&&(l[2]&&(l[1]="@media ".concat(l[2]," {").concat(l[1],"}")),l[2]=r),o&&(l[4]?(l[1]="@supports (".concat(l[4],") {").concat(l[1],"}"),l[4]=o):l[4]="".concat(o)),t.push(l))}},t}},601(e){e.exports=function(e){return e[1]}},665(e,t,r){r.r(t);var d=r(72),o=r.n(d),a=r(825),s=r.n(a),n=r(659),i=r.n(n),p=r(56),l=r.n(p),c=r(540),f=r.n(c),g=r(113),x=r.n(g),u=r(646),b={};b.styleTagTransform=x(),b.setAttributes=l(),b.insert=i().bind(null,"head"),b.domAPI=s(),b.insertStyleElement=f(),o()(u.A,b);let h=u.A&&u.A.locals?u.A.locals:void 0;r.d(t,{},{default:h})},72(e){var t=[];function r(e){for(var r=-1,d=0;d<t.length;d++)if(t[d].identifier===e){r=d;break}return r}function d(e,d){for(var o={},a=[],s=0;s<e.length;s++){var n=e[s],i=d.base?n[0]+d.base:n[0],p=o[i]||0,l="".concat(i," ").concat(p);o[i]=p+1;var c=r(l),f={css:n[1],media:n[2],sourceMap:n[3],supports:n[4],layer:n[5]};if(-1!==c)t[c].references++,t[c].updater(f);else{var g=function(e,t){var r=t.domAPI(t);return r.update(e),function(t){t?(t.css!==e.css||t.media!==e.media||t.sourceMap!==e.sourceMap||t.supports!==e.supports||t.layer!==e.layer)&&r.update(e=t):r.remove()}}(f,d);d.byIndex=s,t.splice(s,0,{identifier:l,updater:g,references:1})}a.push(l)}return a}e.exports=function(e,o){var a=d(e=e||[],o=o||{});return function(e){e=e||[];for(var s=0;s<a.length;s++){var n=r(a[s]);t[n].references--}for(var i=d(e,o),p=0;p<a.length;p++){var l=r(a[p]);0===t[l].references&&(t[l].updater(),t.splice(l,1))}a=i}}},659(e){var t={};e.exports=function(e,r){var d=function(e){if(void 0===t[e]){var r=document.querySelector(e);if(window.HTMLIFrameElement&&r instanceof window.HTMLIFrameElement)try{r=r.contentDocument.head}catch(e){r=null}t[e]=r}return t[e]}(e);if(!d)throw Error("Couldn't find a style target. This probably means that the value for the 'insert' parameter is invalid.");d.appendChild(r)}},540(e){e.exports=function(e){var t=document.createElement("style");return e.setAttributes(t,e.attributes),e.insert(t,e.options),t}},56(e,t,r){e.exports=function(e){var t=r.nc;t&&e.setAttribute("nonce",t)}},825(e){e.exports=function(e){if("u"<typeof document)return{update:function(){},remove:function(){}};var t=e.insertStyleElement(e);return{update:function(r){var d,o,a;d="",r.supports&&(d+="@supports (".concat(r.supports,") {")),r.media&&(d+="@media ".concat(r.media," {")),(o=void 0!==r.layer)&&(d+="@layer".concat(r.layer.length>0?" ".concat(r.layer):""," {")),d+=r.css,o&&(d+="}"),r.media&&(d+="}"),r.supports&&(d+="}"),(a=r.sourceMap)&&"u">typeof btoa&&(d+="\n/*# sourceMappingURL=data:application/json;base64,".concat(btoa(unescape(encodeURIComponent(JSON.stringify(a))))," */")),e.styleTagTransform(d,t,e.options)},remove:function(){var e;null===(e=t).parentNode||e.parentNode.removeChild(e)}}}},113(e){e.exports=function(e,t){if(t.styleSheet)t.styleSheet.cssText=e;else{for(;t.firstChild;)t.removeChild(t.firstChild);t.appendChild(document.createTextNode(e))}}}}]);