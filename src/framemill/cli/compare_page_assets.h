#pragma once

#include <string_view>

namespace framemill {

/// The style sheet of the page of compare_page.h. Series colours are told apart by people with the
/// common colour weaknesses and have a contrast of at least 3 to the background in both schemes;
/// markers differ in shape, too.
inline constexpr std::string_view kComparePageStyle = R"css(
:root{color-scheme:light dark;--page:#f5f6f8;--card:#fff;--ink:#16202b;--soft:#586575;--line:#dfe4ea;--grid:#e9edf1;--accent:#0b63c5;
--good:#12743f;--bad:#b3261e;--bad-soft:#fdeceb;--s0:#0b63c5;--s1:#b8560a;--s2:#7a4bc2;--s3:#0c7f76;--s4:#b42d73;--s5:#5f6b1a;--shadow:0 1px 2px #1020301a,0 1px 8px #1020300d}
@media (prefers-color-scheme:dark){:root{--page:#0f141a;--card:#182029;--ink:#e7ecf2;--soft:#9aa8b7;--line:#2c3743;--grid:#26303b;--accent:#6db3ff;
--good:#5fd095;--bad:#ff8f86;--bad-soft:#3a2021;--s0:#6db3ff;--s1:#ffa256;--s2:#c3a3ff;--s3:#4fd6ca;--s4:#ff8fc4;--s5:#c9d45c;--shadow:none}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",Arial,sans-serif;-webkit-text-size-adjust:100%}
main{max-width:1200px;margin:0 auto;padding:28px 20px 56px}
h1{font-size:clamp(1.65rem,1.1rem + 2.2vw,2.6rem);line-height:1.15;letter-spacing:-.015em;margin:.1em 0 .35em;text-wrap:balance}
h2{font-size:1.3rem;line-height:1.25;margin:0 0 .3em}
p{margin:.35em 0 .8em;max-width:76ch}
code{font:.88em ui-monospace,SFMono-Regular,Menlo,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
.kicker{color:var(--soft);font-size:.92rem;margin:0}
.lead{font-size:1.1rem}
.soft,.note{color:var(--soft)}
.note{font-size:.9rem}
section,.tile{background:var(--card);border:1px solid var(--line);border-radius:12px;box-shadow:var(--shadow)}
section{padding:22px 24px 20px;margin-top:20px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(200px,1fr));gap:14px;margin-top:18px}
.tile{padding:14px 18px 12px}
.tile b{display:block;font-size:1.95rem;line-height:1.2;letter-spacing:-.02em;font-variant-numeric:tabular-nums}
.tile span{display:block}
.tile .what{font-weight:600;font-size:.95rem}
.tile .beside{color:var(--soft);font-size:.88rem;line-height:1.4}
.charts{display:grid;grid-template-columns:1fr 1fr;gap:12px 28px}
.legend{display:flex;flex-wrap:wrap;gap:4px 20px;margin:.3em 0 .7em;padding:0;list-style:none;font-size:.95rem}
.legend li{display:flex;align-items:center;gap:7px}
.key{width:26px;height:14px;flex:none}
.chart{display:block;width:100%;height:auto;overflow:visible}
.chart text{font-size:13px;fill:var(--soft)}
.chart .name{font-size:15px;font-weight:600;fill:var(--ink)}
.grid{stroke:var(--grid);fill:none}
.axis{stroke:var(--soft);fill:none}
.curve{fill:none;stroke-width:2;stroke-linejoin:round}
.dot{stroke:var(--card);stroke-width:1.2}
.mark{fill:none;stroke-width:1.6}
.full{fill:var(--card);stroke:var(--ink);stroke-width:2}
.hit{fill:transparent}
.point{outline:none;cursor:default}
.point:hover .dot,.point:focus .dot{stroke:var(--ink);stroke-width:2}
.curve.s0,.mark.s0{stroke:var(--s0)}.dot.s0{fill:var(--s0)}
.curve.s1,.mark.s1{stroke:var(--s1)}.dot.s1{fill:var(--s1)}
.curve.s2,.mark.s2{stroke:var(--s2)}.dot.s2{fill:var(--s2)}
.curve.s3,.mark.s3{stroke:var(--s3)}.dot.s3{fill:var(--s3)}
.curve.s4,.mark.s4{stroke:var(--s4)}.dot.s4{fill:var(--s4)}
.curve.s5,.mark.s5{stroke:var(--s5)}.dot.s5{fill:var(--s5)}
details{margin-top:14px}
summary{cursor:pointer;color:var(--accent);font-weight:600}
.scroll{overflow-x:auto;margin-top:10px}
.scroll:focus-visible{outline:2px solid var(--accent)}
table{border-collapse:collapse;width:100%;font-size:.88rem;font-variant-numeric:tabular-nums}
th,td{padding:6px 8px;vertical-align:middle;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
thead th{color:var(--soft);font-weight:600;font-size:.85rem;line-height:1.3;vertical-align:bottom;white-space:normal;min-width:4.2em}
th:first-child,td:first-child{text-align:left;position:sticky;left:0;background:var(--card);padding-left:0}
tbody th{font-weight:600;text-align:left}
.clips tbody th{min-width:min(15em,40vw);max-width:17em;white-space:normal;overflow-wrap:anywhere;line-height:1.3}
tr.first>*{border-top:2px solid var(--line)}
tr.marked>*{background:color-mix(in srgb,var(--accent) 9%,var(--card))}
tr.few>*{color:var(--soft)}
.run{display:inline-flex;align-items:center;gap:7px;vertical-align:middle}
.ci{color:var(--soft);font-size:.84em}
td:has(.ci){line-height:1.15;padding-block:4px}
.bad{color:var(--bad);font-weight:600}
.good{color:var(--good)}
.badge{display:inline-block;padding:0 8px;border-radius:9px;background:var(--bad-soft);color:var(--bad);font-size:.86em;font-weight:600}
button.sort{all:unset;cursor:pointer;color:inherit}
button.sort:hover{color:var(--ink)}
button.sort:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
[aria-sort=ascending] .sort::after{content:" \25B2";font-size:.7em}
[aria-sort=descending] .sort::after{content:" \25BC";font-size:.7em}
select{font:inherit;color:inherit;background:var(--card);border:1px solid var(--soft);border-radius:8px;padding:5px 8px;max-width:100%}
.switch{margin-right:18px;white-space:nowrap}
.switch i{display:inline-block;width:24px;height:13px;margin:0 3px 0 4px;vertical-align:-1px;border:2px solid}
.i-ref{border-color:#1fbf75!important}.i-miss{border-color:#ff3b57!important;border-width:3px!important}.i-ans{border-color:#ffb000!important;border-style:dashed!important}
.strip{display:grid;grid-template-columns:repeat(auto-fill,minmax(330px,1fr));gap:20px;margin-top:14px}
figure{margin:0;min-width:0}
.shots{display:grid;grid-template-columns:1fr;gap:4px}
.shots svg{display:block;width:100%;height:auto;background:#3c4650}
.shots{position:relative;border-radius:8px;overflow:hidden}
.shots .zoom{position:absolute;right:0;bottom:0;width:36%;border:2px solid #fff;border-right:0;border-bottom:0;border-top-left-radius:8px}
.shots.left .zoom{right:auto;left:0;border-left:0;border-right:2px solid #fff;border-top-left-radius:0;border-top-right-radius:8px}
figcaption{font-size:.9rem;line-height:1.45;margin-top:7px}
figcaption b{overflow-wrap:anywhere}
.ref,.ans{fill:none;stroke-width:2;vector-effect:non-scaling-stroke;filter:drop-shadow(0 0 1px #000)}
.ref{stroke:#1fbf75}.ref.faint{stroke-width:1;opacity:.8}.ref.missed{stroke:#ff3b57;stroke-width:3}
.ans{stroke:#ffb000;stroke-dasharray:5 4}
.crop{fill:none;stroke:#fff;stroke-width:1;vector-effect:non-scaling-stroke;opacity:.75}
section:has(#show-ref:not(:checked)) .ref,section:has(#show-ans:not(:checked)) .ans{display:none}
dl{display:grid;grid-template-columns:minmax(9em,auto) 1fr;gap:7px 20px;margin:.6em 0 0}
dt{font-weight:600}
dd{margin:0;overflow-wrap:anywhere;max-width:80ch}
ul{padding-left:1.2em;margin:.5em 0}
li{margin:.3em 0;max-width:80ch}
#tip{position:fixed;z-index:9;pointer-events:none;background:var(--ink);color:var(--page);padding:6px 10px;border-radius:7px;font-size:.85rem;line-height:1.4;white-space:pre-line;max-width:300px}
footer{color:var(--soft);font-size:.88rem;margin-top:22px}
@media (max-width:760px){main{padding:18px 12px 40px}.charts{grid-template-columns:1fr}section{padding:16px 14px}tbody th{white-space:normal;min-width:9.5em}.chart text{font-size:15px}.tile:last-child:nth-child(odd){grid-column:1/-1}
.tiles{grid-template-columns:1fr 1fr;gap:10px}.tile{padding:11px 12px}.tile b{font-size:1.5rem}.strip{grid-template-columns:1fr}dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:10px}}
@media print{section,.tile{break-inside:avoid;box-shadow:none}.switch,select{display:none}}
)css";

/// The script of the page: tooltips from <title>, the choice of the run, sorting by column.
inline constexpr std::string_view kComparePageScript = R"js(
"use strict";
const tip = document.createElement("div");
tip.id = "tip";
tip.hidden = true;
document.body.append(tip);
for (const title of document.querySelectorAll("svg title")) {
  const owner = title.parentElement, text = title.textContent;
  title.remove();  // else the browser shows its own as well
  owner.setAttribute("aria-label", text);
  const show = () => {
    tip.textContent = text;
    tip.hidden = false;
    const at = owner.getBoundingClientRect(), own = tip.getBoundingClientRect();
    const left = Math.min(at.left + at.width / 2 - own.width / 2, innerWidth - own.width - 6);
    tip.style.left = Math.max(6, left) + "px";
    tip.style.top = (at.top > own.height + 12 ? at.top - own.height - 6 : at.bottom + 6) + "px";
  };
  const hide = () => { tip.hidden = true; };
  for (const name of ["mouseenter", "focus"]) owner.addEventListener(name, show);
  for (const name of ["mouseleave", "blur"]) owner.addEventListener(name, hide);
}
const clips = document.querySelector("table.clips"), choice = document.querySelector("#choice");
if (clips && choice) {
  const choose = () => {
    for (const body of clips.tBodies) body.hidden = body.dataset.run !== choice.value;
  };
  choice.closest("p").hidden = false;
  choice.addEventListener("change", choose);
  choose();
  clips.tHead.querySelectorAll("th").forEach((head, column) => {
    const button = document.createElement("button");
    button.className = "sort";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      for (const other of clips.tHead.querySelectorAll("th")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      const key = (row) => row.cells[column].dataset.v ?? row.cells[column].textContent;
      const order = (a, b) => (column ? key(a) - key(b) : key(a).localeCompare(key(b))) * sign;
      for (const body of clips.tBodies) body.append(...[...body.rows].sort(order));
    });
  });
}
)js";

}  // namespace framemill
