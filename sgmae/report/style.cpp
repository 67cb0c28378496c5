#include "sgmae/report/style.h"

namespace sgmae {
namespace {

std::string variables(const SchemeColours& scheme) {
  std::string out;
  const auto set = [&](const std::string& name, std::string_view value) {
    out += "--" + name + ":" + std::string(value) + ";";
  };
  set("page", scheme.page);
  set("panel", scheme.panel);
  set("text", scheme.text);
  set("quiet", scheme.quiet_text);
  set("link", scheme.link);
  for (std::size_t i = 0; i < scheme.series.size(); ++i)
    set("c" + std::to_string(i), scheme.series[i]);
  return out;
}

std::string series_rules() {
  std::string out;
  for (std::size_t i = 0; i < series_colours; ++i) {
    const std::string name = "c" + std::to_string(i);
    out += "." + name + "{color:var(--" + name + ")}";
  }
  return out;
}

// Wide tables scroll inside their own box, so the page never does sideways.
constexpr std::string_view kRules = R"(
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);
 font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;overflow-wrap:anywhere}
header,main,footer{max-width:1400px;margin:0 auto;padding:0 16px}
h1{font-size:1.7em;margin:.8em 0 .2em}
h2{font-size:1.3em;margin:1.8em 0 .6em;padding-top:.4em;border-top:1px solid var(--line)}
h3{font-size:1em;margin:1em 0 .2em}
figure h3{margin-top:0}
figure.card{align-self:start}
a{color:var(--link)}
nav{display:flex;flex-wrap:wrap;gap:4px 16px;margin:12px 0}
.quiet,figcaption,footer{color:var(--quiet)}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,400px),1fr));gap:16px;
 margin-bottom:16px}
.grid>*{min-width:0}
.card{background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:12px;margin:0}
.card p{margin:.2em 0}
.grid.pictures{grid-template-columns:repeat(auto-fill,minmax(min(100%,640px),1fr))}
.grid.pictures p{margin:0}
svg.chart{display:block;width:100%;height:auto;max-width:560px}
svg .grid{stroke:var(--line);stroke-width:1}
svg .axis{stroke:var(--quiet);stroke-width:1}
svg .label{font-size:11px;fill:var(--text)}
svg .label.name{fill:var(--quiet)}
svg .label.own{fill:currentColor}
svg .curve{fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round}
svg .dashed{stroke-dasharray:6 4}
svg .band{fill:currentColor;opacity:.15}
svg .marker{stroke:currentColor;stroke-width:1.5;stroke-dasharray:2 3}
svg circle{fill:currentColor}
.legend{display:flex;flex-wrap:wrap;gap:0 14px;list-style:none;margin:0 0 4px;padding:0;font-size:13px}
.legend svg{width:26px;height:10px;margin-right:5px}
table{border-collapse:collapse;font-size:13.5px;font-variant-numeric:tabular-nums}
th,td{text-align:left;vertical-align:top;padding:3px 14px 3px 0;border-bottom:1px solid var(--line);
 overflow-wrap:normal}
td{min-width:4em;max-width:32em;overflow-wrap:break-word}
thead th{border-bottom:2px solid var(--line)}
td.n,th.n{text-align:right}
tr.differs th,tr.differs td{background:var(--mark)}
tr.differs th::before{content:"≠ "}
.scroll{overflow-x:auto;max-width:100%}
details .scroll{max-height:420px;overflow:auto}
details .scroll.whole{max-height:none}
details{margin:.5em 0}
summary{cursor:pointer;color:var(--link)}
pre{background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:10px;margin:.4em 0;
 white-space:pre-wrap;font-size:13px}
img{max-width:100%;height:auto;image-rendering:auto;background:#fff}
svg.matrix{display:block;max-width:none}
svg.matrix .label{font-size:11px;fill:var(--text)}
svg.matrix .label.name{fill:var(--quiet)}
svg.matrix .label.over{fill:var(--page)}
svg.matrix rect{fill:currentColor;pointer-events:all}
svg.matrix rect.frame{fill:none;stroke:var(--quiet);pointer-events:none}
svg.matrix text{pointer-events:none}
table.scores tbody th{font-weight:normal}
table.scores tbody th[scope=rowgroup]{font-weight:bold;padding-top:10px}
table.scores .best{background:var(--mark);font-weight:bold}
table.scores td,table.scores thead th{padding-left:10px;padding-right:10px}
table.scores thead th:first-child{padding-left:0}
table.scores tbody th{min-width:8em}
table.scores th[scope=row]{position:sticky;left:0;background:var(--page)}
table.scores thead th.n{min-width:6.5em;max-width:11em}
.difference{font-size:12px;font-weight:normal;color:var(--quiet);white-space:nowrap}
.difference.clear{font-weight:bold;color:var(--text)}
details.figure{border-bottom:1px solid var(--line);margin:0;padding:6px 0}
details.figure>.grid{margin-top:8px}
.card.wide ul{margin:.2em 0;padding-left:1.2em}
.warning{border-left:4px solid var(--c1);padding-left:10px}
@media (max-width:600px){
 header,main,footer{padding:0 10px}
 th,td{padding-right:8px}
 .card{padding:8px}
}
@media print{
 details.figure::details-content{content-visibility:visible;block-size:auto}
 nav{display:none}
 body{font-size:10.5pt}
 .card,figure,tr{break-inside:avoid}
 h2,h3,summary{break-after:avoid}
 .card img{max-height:22cm;width:auto}
 .scroll,details .scroll{overflow:visible;max-height:none}
 .grid,.grid.pictures{grid-template-columns:1fr 1fr}
}
)";

}  // namespace

std::string style_sheet() {
  return ":root{color-scheme:light dark;--line:#d4d8de;--mark:#fff3cd;" + variables(light_scheme) +
         "}\n@media screen and (prefers-color-scheme:dark){:root{--line:#3a414c;--mark:#453a12;" +
         variables(dark_scheme) + "}}" + std::string(kRules) + series_rules();
}

}  // namespace sgmae
