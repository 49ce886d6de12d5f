"""The one style sheet of a page about a run: light and dark, from 360 pixels up."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --sheet: #f6f7f9; --line: #d5d9e0; --ink: #16191f; --soft: #565e6c;
  --link: #1d4ed8;
  --queued: #5f6877; --assigned: #b45309; --running: #1d4ed8; --succeeded: #15803d;
  --failed: #b91c1c; --canceled: #6b7280; --lost: #7c3aed; --wait: #e6a23c;
  --cached: #0e7490;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #101216; --sheet: #191c22; --line: #333945; --ink: #e8eaee; --soft: #a3abb9;
    --link: #93b4ff;
    --queued: #8b95a5; --assigned: #fbbf24; --running: #7aa2ff; --succeeded: #4ade80;
    --failed: #ff8080; --canceled: #9ca3af; --lost: #c4a1ff; --wait: #b7791f;
    --cached: #5bc8e0;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.25rem clamp(.75rem, 3vw, 2.5rem) 3rem; max-width: 96rem;
  background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2rem 0 .6rem; }
h3 { font-size: .95rem; margin: 1rem 0 .3rem; }
a { color: var(--link); }
code, pre { font: .86em/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
code, dd, .why { overflow-wrap: anywhere; }
pre {
  margin: 0; padding: .6rem .75rem; max-height: 22rem; overflow: auto; white-space: pre-wrap;
  overflow-wrap: anywhere; background: var(--paper); border: 1px solid var(--line);
  border-radius: 6px;
}
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; border-radius: 4px; }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: 1rem; top: .5rem; background: var(--paper); padding: .4rem .8rem; }
.badge {
  display: inline-block; padding: .05rem .6rem; border: 1.5px solid currentColor;
  border-radius: 1rem; font-size: .9rem; font-weight: 600; white-space: nowrap;
}
h1 .badge { margin-left: .4rem; vertical-align: .15em; }
.facts {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr));
  gap: .7rem 1.5rem; margin: 1rem 0 0;
}
.facts .wide { grid-column: 1 / -1; }
dt { color: var(--soft); font-size: .82rem; }
dd { margin: 0; }
.problem {
  margin: 1rem 0 0; padding: .7rem 1rem; border-left: 4px solid var(--failed);
  background: var(--sheet); overflow-wrap: anywhere; border-radius: 0 6px 6px 0;
}
.problem ul { margin: .4rem 0 0; padding-left: 1.2rem; }
.state { white-space: nowrap; font-weight: 600; font-size: .9rem; }
.queued { color: var(--queued); } .assigned, .waiting { color: var(--assigned); }
.running { color: var(--running); } .succeeded { color: var(--succeeded); }
.failed { color: var(--failed); } .canceled { color: var(--canceled); }
.cached { color: var(--cached); } .blocked { color: var(--assigned); }
.steps {
  list-style: none; margin: 0; padding: 0; border: 1px solid var(--line); border-radius: 8px;
  overflow: hidden;
}
.steps > li {
  border-top: 1px solid var(--line); content-visibility: auto;
  contain-intrinsic-size: auto 2.6rem;
}
.steps > li:first-child { border-top: 0; }
summary, .axis {
  display: grid; gap: .1rem .9rem; padding: .45rem .8rem; align-items: center;
  grid-template-columns: minmax(9rem, 20rem) 7.5rem minmax(8rem, 1fr) 6rem 1rem;
}
summary { cursor: pointer; list-style: none; }
summary::-webkit-details-marker { display: none; }
summary:focus-visible { outline-offset: -3px; }
summary:hover, details[open] > summary { background: var(--sheet); }
summary::after {
  content: "+"; grid-row: 1; grid-column: 5; color: var(--soft); text-align: center;
}
details[open] > summary::after { content: "\\2212"; }
.axis { background: var(--sheet); color: var(--soft); font-size: .82rem; }
.axis .scale { grid-column: 3; display: flex; justify-content: space-between; }
.axis .took { grid-column: 4; }
.name { font-weight: 600; overflow-wrap: anywhere; }
.took { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.bar { display: block; width: 100%; height: 1rem; background: var(--sheet); border-radius: 3px; }
details[open] > summary .bar, summary:hover .bar { background: var(--paper); }
.why {
  grid-column: 1 / -1; color: var(--soft); font-size: .88rem; display: -webkit-box;
  -webkit-line-clamp: 2; -webkit-box-orient: vertical; overflow: hidden;
}
rect.succeeded { fill: var(--succeeded); } rect.cached { fill: var(--cached); }
rect.failed { fill: var(--failed); }
rect.open { fill: var(--running); } rect.canceled { fill: var(--canceled); }
rect.lost { fill: var(--lost); } rect.assigned { fill: var(--running); }
rect.wait { fill: var(--wait); }
.legend {
  display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; margin: .6rem 0 0; padding: 0;
  list-style: none; color: var(--soft); font-size: .85rem;
}
.legend svg {
  width: .8rem; height: .8rem; margin-right: .4rem; vertical-align: -.08rem;
  border-radius: 2px;
}
.inside { padding: .2rem .8rem 1.1rem; background: var(--sheet); }
.inside .facts { margin-top: .5rem; }
.scroll { overflow-x: auto; margin-top: .8rem; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; }
th, td {
  text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top;
}
th { color: var(--soft); font-weight: 500; white-space: nowrap; }
td { white-space: nowrap; font-variant-numeric: tabular-nums; }
td.error { padding-left: 1rem; white-space: normal; overflow-wrap: anywhere; }
td:last-child { width: 100%; }
.values {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr));
  gap: 0 1.2rem;
}
.values > * { min-width: 0; }
.graph {
  border: 1px solid var(--line); border-radius: 8px; overflow: auto; max-height: 36rem;
  padding: .5rem;
}
.graph svg { display: block; margin: 0 auto; }
.graph path { fill: none; stroke: var(--queued); stroke-width: 1.5; }
.graph rect { fill: var(--sheet); stroke: currentColor; stroke-width: 1.5; }
.graph text { fill: var(--ink); font-size: 13px; }
.graph .small { fill: currentColor; font-size: 11px; font-weight: 600; }
.graph a:focus-visible rect { stroke-width: 4; }
.graph marker path { fill: var(--queued); stroke: none; }
footer { margin-top: 2.5rem; color: var(--soft); font-size: .85rem; }
@media (max-width: 46rem) {
  summary, .axis { grid-template-columns: 1fr 7rem 1rem; }
  summary .name { grid-row: 1; grid-column: 1; }
  summary .state { grid-row: 1; grid-column: 2; text-align: right; }
  summary::after { grid-row: 1; grid-column: 3; }
  .facts { grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); }
  summary .barbox { grid-row: 2; grid-column: 1; }
  summary .took { grid-row: 2; grid-column: 2; }
  .axis .scale { grid-column: 1; }
  .axis .took { grid-column: 2; }
}
@media print {
  .steps > li { content-visibility: visible; }
  pre, .graph { max-height: none; overflow: visible; }
}
"""
"""Text for one `style` element; what it colours is also said in words."""
