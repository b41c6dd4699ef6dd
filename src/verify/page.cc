// SPDX-License-Identifier: Apache-2.0
#include "verify/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace truekeel::verify {
namespace {

constexpr std::string_view kStyle = R"CSS(
:root{color-scheme:light dark;--line:#8886;--good:#1a7f4b;--bad:#b3261e;--open:#7a6000;--short:#2a6fc9;--long:#b85f00}
@media(prefers-color-scheme:dark){:root{--good:#4cc38a;--bad:#ff8a80;--open:#e0b83c;--short:#6ea8f0;--long:#f0a050}}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;line-height:1.25}h2{font-size:1.15rem;margin-top:2.2rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.v{display:inline-block;vertical-align:middle;font-size:1rem;line-height:1.4;font-weight:600;padding:0 .5rem;border:2px solid;border-radius:.3rem;white-space:nowrap}
.fine{color:var(--good)}.bad,.failed{color:var(--bad)}.undecided{color:var(--open)}
.wide{overflow-x:auto}figure{margin:1rem 0}svg{width:100%;height:auto;overflow:visible}svg text{font-size:12px;fill:currentColor}
.short{color:var(--short);fill:var(--short)}.long{color:var(--long);fill:var(--long)}
small,figcaption{opacity:.8;font-size:.9rem}
@media(max-width:40rem){svg text{font-size:22px}}
)CSS";

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

/// What the report says in passing, as a sentence of its own.
std::string sentence(std::string_view text) {
  std::string html = escaped(text);
  if (!html.empty() && html[0] >= 'a' && html[0] <= 'z') html[0] = static_cast<char>(html[0] - 'a' + 'A');
  return html + ".";
}

/// A word and a sign, so that colour is never alone.
std::string badge(Verdict verdict) {
  constexpr std::array<std::string_view, 5> kSigns = {"✓", "✗", "?", "!", "–"};
  return fmt::format(R"(<span class="v {0}">{1} {0}</span>)", name(verdict),
                     kSigns[std::to_underlying(verdict)]);
}

std::string table_of(std::string_view title, const ServerReport& server) {
  std::string html = fmt::format("<h2>{}: {}</h2>", title, escaped(server.url));
  if (!server.can) return html + fmt::format("<p>{}</p>", escaped(server.trouble));
  html += "<div class=wide><table><tr><th>It can give</th><th></th><th></th></tr>";
  for (const auto& each : server.can->table)
    html += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td></tr>", escaped(each.name), name(each.has),
                        escaped(each.detail));
  return html + "</table></div>";
}

std::string sampler_of(const AuditReport& audit) {
  if (audit.verdict == Verdict::not_asked) return "";
  std::string html = fmt::format("<h2>Does it sample what it reports? {}</h2><p>{}</p>", badge(audit.verdict),
                                 sentence(audit.summary));
  if (audit.counts.answers == 0) return html;
  const auto share = [](const std::optional<double>& found) {
    return found ? fmt::format("in {:g} % of the tokens", *found * 100)
                 : std::string("in 5 % of the tokens: not yet");
  };
  html += fmt::format(
      "<div class=wide><table><tr><td>Tokens looked at</td><td class=n>{}</td></tr><tr><td>Without a usable "
      "record</td><td class=n>{}</td></tr>"
      "<tr><td>Evidence, of what an accusation takes</td><td class=n>{:.1f} of {:.1f}</td></tr>"
      "<tr><td>Improbable tokens would have been found</td><td class=n>{}</td></tr>"
      "<tr><td>A lost best token would have been found</td><td class=n>{}</td></tr>",
      audit.counts.tokens, audit.counts.lost_tokens, std::max(0.0, audit.log_e), audit.log_threshold,
      share(audit.found_tail), share(audit.found_top1));
  for (const auto& each : audit.invariants)
    html += fmt::format("<tr><td>{}{}</td><td class=n>kept in {} of {} answers</td></tr>",
                        escaped(sentinel::name(each.invariant)),
                        each.counts ? "" : " <small>(not tested for this engine: does not count)</small>",
                        each.kept, each.kept + each.violated);
  return html + "</table></div>";
}

/// Distances between the servers, one mark a context, in the order in which they were read; below them what
/// the servers differ from themselves.
std::string picture_of(const ComparisonReport& comparison) {
  constexpr double kWidth = 800, kHeight = 210, kLeft = 60, kBottom = 14;
  double most = 2 * comparison.test.tolerance;
  for (const Point& point : comparison.points) most = std::max(most, point.between);
  const auto y = [&](double value) { return 8 + (kHeight - kBottom - 8) * (1 - value / most); };
  const auto x = [&](std::size_t i) {
    return kLeft + (kWidth - kLeft - 8) * (static_cast<double>(i) + 0.5) /
                       static_cast<double>(comparison.points.size());
  };
  std::string svg = fmt::format(
      R"(<figure><svg viewBox="0 0 {} {}" role="img" aria-label="distance of every context; the same numbers are in the table">)",
      kWidth, kHeight);
  for (const double value : {0.0, comparison.test.tolerance, most})
    svg += fmt::format(
        R"(<line x1="{0}" x2="{1}" y1="{2:.1f}" y2="{2:.1f}" stroke="currentColor" opacity=".3" stroke-dasharray="{3}"/><text x="{4}" y="{5:.1f}" text-anchor="end">{6:.2f}</text>)",
        kLeft, kWidth, y(value), value == comparison.test.tolerance ? "6 4" : "0", kLeft - 8, y(value) + 5,
        value);
  for (std::size_t i = 0; i < comparison.points.size(); ++i) {
    const Point& point = comparison.points[i];
    const double own = (point.within_target + point.within_reference) / 2;
    svg += fmt::format(
        R"(<line x1="{0:.1f}" x2="{0:.1f}" y1="{1:.1f}" y2="{2:.1f}" stroke="currentColor" opacity=".25"/>)",
        x(i), y(own), y(point.between));
    svg +=
        point.stratum == Stratum::long_prompts
            ? fmt::format(R"(<rect x="{:.1f}" y="{:.1f}" width="9" height="9" class="long"/>)", x(i) - 4.5,
                          y(point.between) - 4.5)
            : fmt::format(R"(<circle cx="{:.1f}" cy="{:.1f}" r="4" class="short"/>)", x(i), y(point.between));
    svg += fmt::format(R"(<line x1="{0:.1f}" x2="{1:.1f}" y1="{2:.1f}" y2="{2:.1f}" stroke="currentColor"/>)",
                       x(i) - 4, x(i) + 4, y(own));
  }
  return svg +
         R"(</svg><figcaption>How far the servers are apart at each context, in nats a token, in the order of reading: )"
         R"(<span class="short">●</span> short and <span class="long">■</span> long prompts. – is what they differ from )"
         "themselves; dashed is the tolerance.</figcaption></figure>";
}

std::string row_of(std::string_view of, const DifferenceTest::View& view) {
  if (view.contexts == 0) return "";
  return fmt::format(
      "<tr><td>{}</td><td class=n>{}</td><td class=n>{:.3f}</td><td "
      "class=n>{:.3f}&nbsp;…&nbsp;{:.3f}</td></tr>",
      of, view.contexts, view.mean, view.lower, view.upper);
}

std::string comparison_of(const ComparisonReport& comparison) {
  std::string html = fmt::format("<h2>Does it serve what the reference serves? {}</h2><p>{}</p>",
                                 badge(comparison.verdict), sentence(comparison.summary));
  if (comparison.points.empty()) return html;
  html += picture_of(comparison);
  html +=
      "<div class=wide><table><tr><th>Nats a token, beyond own noise</th><th class=n>contexts</th><th "
      "class=n>excess</th>"
      "<th class=n>between</th></tr>";
  for (std::size_t i = 0; i < kStrata; ++i)
    html += row_of(name(static_cast<Stratum>(i)), comparison.strata[i]);
  html += row_of("all", comparison.all);
  html += fmt::format(
      "</table></div><p>Tolerance {:g}; chance of a wrong accusation at most {:g}; read by {}; {} contexts "
      "dropped.</p>",
      comparison.test.tolerance, comparison.test.error, name(comparison.reading), comparison.counts.dropped);
  html +=
      "<details><summary>Every context</summary><div class=wide><table><tr><th>stratum</th><th "
      "class=n>tokens</th><th class=n>between</th>"
      "<th class=n>target, itself</th><th class=n>reference, itself</th></tr>";
  for (const Point& point : comparison.points)
    html += fmt::format(
        "<tr><td>{}</td><td class=n>{}</td><td class=n>{:.4f}</td><td class=n>{:.4f}</td><td "
        "class=n>{:.4f}</td></tr>",
        name(point.stratum), point.tokens, point.between, point.within_target, point.within_reference);
  return html + "</table></div></details>";
}

}  // namespace

std::string to_html(const Report& report) {
  const std::string title = escaped(headline(report));
  std::string html = fmt::format(
      "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
      "content=\"width=device-width\"><title>{0}</title><style>{1}</style>"
      "<body><h1>{0} {2}</h1>",
      title, kStyle, badge(report.verdict()));
  html += sampler_of(report.audit);
  if (report.reference) html += comparison_of(report.comparison);
  html += table_of("Target", report.target);
  if (report.reference) html += table_of("Reference", *report.reference);
  html += fmt::format("<p><small>truekeel verify: {} tokens in {:.1f} s, seed {}{}.</small></p>",
                      report.tokens, report.seconds, report.seed, report.interrupted ? ", interrupted" : "");
  return html + "</body></html>\n";
}

}  // namespace truekeel::verify
