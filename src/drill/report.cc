// SPDX-License-Identifier: Apache-2.0
#include "drill/report.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace truekeel::drill {
namespace {

using Json = nlohmann::ordered_json;

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json milliseconds(const std::optional<double>& seconds) {
  return seconds ? Json(std::round(*seconds * 1000) / 1000) : Json(nullptr);
}

std::string in_seconds(const std::optional<double>& seconds) {
  return seconds ? fmt::format("{:.1f} s", *seconds) : "never";
}

}  // namespace

std::string to_json(const Report& report) {
  return Json{{"drill", report.drill},
              {"seed", report.seed},
              {"rate", report.rate},
              {"detected", report.detected},
              {"signal", or_null(report.signal)},
              {"ttd_s", milliseconds(report.ttd_s)},
              {"tokens_to_detect", or_null(report.tokens_to_detect)},
              {"requests_to_detect", or_null(report.requests_to_detect)},
              {"culprit", or_null(report.culprit)},
              {"culprit_correct", report.culprit_correct},
              {"action", or_null(report.action)},
              {"contained_s", milliseconds(report.contained_s)},
              {"verified", nullptr},
              {"ttr_s", nullptr},
              {"false_alarms", report.false_alarms},
              {"requests_harmed_before", report.requests_harmed_before},
              {"requests_harmed_after", report.requests_harmed_after},
              {"requests_lost", report.requests_lost},
              {"sessions_left", report.sessions_left}}
      .dump();
}

std::string to_text(const Report& report, const std::string& fault, const std::string& slice) {
  std::string text = fmt::format("{}: drill {}, seed {}\n\n", report.passed() ? "PASSED" : "FAILED",
                                 report.drill, report.seed);
  text += fmt::format("  injected         {} on {}\n", fault, slice);
  if (report.detected) {
    text += fmt::format("  detected after   {} by {}, {} tokens and {} requests of these servers\n",
                        in_seconds(report.ttd_s), report.signal.value_or("?"),
                        report.tokens_to_detect.value_or(0), report.requests_to_detect.value_or(0));
  } else {
    text += "  detected         no\n";
  }
  text += fmt::format("  culprit          {}{}\n", report.culprit.value_or("none named"),
                      report.culprit_correct ? ", which is right"
                      : report.culprit       ? ", which is wrong"
                                             : "");
  text += fmt::format("  contained after  {} ({})\n", in_seconds(report.contained_s),
                      report.action.value_or("no action"));
  text += fmt::format("  requests harmed  {} before the action, {} after it; lost {}\n",
                      report.requests_harmed_before, report.requests_harmed_after, report.requests_lost);
  text += fmt::format("  sessions left    {}\n", report.sessions_left);
  text += fmt::format("  false alarms     {}\n", report.false_alarms);
  return text;
}

}  // namespace truekeel::drill
