// SPDX-License-Identifier: Apache-2.0
#include "protocol/token_records.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "protocol/answer_walk.h"

namespace truekeel::protocol {
namespace {

using simdjson::error_code;

constexpr auto kTooManyRecords = kTooManyMembers;

std::unexpected<Error> unreadable(error_code error) {
  if (error == kTooManyRecords)
    return fail(ErrorCode::too_large, "an answer has more records than " + std::to_string(kRecordsMax));
  return fail(ErrorCode::invalid_argument, "the records cannot be read: " + describe(error));
}

bool fits_float(double number) { return std::abs(number) <= std::numeric_limits<float>::max(); }

/// A number that a float can hold; NaN otherwise. What a server writes for an impossible token (-9999, the
/// lowest float) passes as it is.
double number_or_nan(od::value value) {
  double number = 0;
  return value.get_double().get(number) == simdjson::SUCCESS && fits_float(number)
             ? number
             : std::numeric_limits<double>::quiet_NaN();
}

std::uint32_t small_number(od::value value) {
  std::uint64_t number = 0;
  return value.get_uint64().get(number) == simdjson::SUCCESS && number < kNoNumber
             ? static_cast<std::uint32_t>(number)
             : kNoNumber;
}

/// The first element of `bytes` says whether the token goes on with a character that another began.
bool continues_character(od::value value) {
  od::array bytes;
  if (value.get_array().get(bytes)) return false;
  for (auto element : bytes) {
    std::uint64_t byte = 0;
    return element.get_uint64().get(byte) == simdjson::SUCCESS && (byte & 0xc0) == 0x80;
  }
  return false;
}

error_code read_alternative(od::value value, std::vector<float>& out) {
  double logprob = std::numeric_limits<double>::quiet_NaN();
  const auto error = each_field(value, [&](od::field& field) {
    if (name_is(field, "logprob")) logprob = number_or_nan(field.value());
    return simdjson::SUCCESS;
  });
  if (error) return error;
  if (std::isnan(logprob)) return simdjson::INCORRECT_TYPE;
  out.push_back(static_cast<float>(logprob));
  return simdjson::SUCCESS;
}

/// The listed tokens are the best ones, so a token that is not below the last of them is among them: it is
/// the one with its logprob.
std::uint32_t place_of(float own, std::span<const float> top) {
  std::uint32_t nearest = kNoNumber;
  float least = std::numeric_limits<float>::infinity(), distance = least;
  for (std::uint32_t i = 0; i < top.size(); ++i) {
    least = std::min(least, top[i]);
    if (std::abs(top[i] - own) >= distance) continue;
    distance = std::abs(top[i] - own);
    nearest = i;
  }
  return own >= least ? nearest : kNoNumber;
}

class Reading {
 public:
  explicit Reading(TokenRecords& out) : out_(out) {}

  /// {"content": [record, ...]}, beside whatever else.
  error_code logprobs(od::object object) {
    bool found = false;
    const auto error = each_field(object, [&](od::field& field) {
      if (!name_is(field, "content")) return simdjson::SUCCESS;
      found = true;
      return each_element(field.value(), [&](od::value record) { return add(record); });
    });
    return error || found ? error : simdjson::NO_SUCH_FIELD;
  }

 private:
  error_code add(od::value value) {
    if (out_.tokens.size() >= kRecordsMax) return kTooManyRecords;
    if (token_of(value) != "{") return simdjson::INCORRECT_TYPE;
    RecordedToken token{.logprob = std::numeric_limits<double>::quiet_NaN()};
    token.first = static_cast<std::uint32_t>(out_.top.size());
    const auto error = each_field(value, [&](od::field& field) {
      if (name_is(field, "top_logprobs")) return alternatives(field.value());
      if (name_is(field, "logprob")) {
        token.logprob = number_or_nan(field.value());
      } else if (name_is(field, "id")) {
        token.id = small_number(field.value());
      } else if (name_is(field, "rank")) {
        token.rank = small_number(field.value());
      } else if (name_is(field, "bytes")) {
        token.continues_character = continues_character(field.value());
      }
      return simdjson::SUCCESS;
    });
    if (error) return error;
    if (std::isnan(token.logprob)) return simdjson::INCORRECT_TYPE;
    token.listed = static_cast<std::uint32_t>(out_.top.size()) - token.first;
    token.drawn = place_of(static_cast<float>(token.logprob), out_.alternatives(token));
    out_.tokens.push_back(token);
    return simdjson::SUCCESS;
  }

  error_code alternatives(od::value value) {
    std::uint32_t count = 0;
    return each_element(value, [&](od::value each) {
      return count++ < kAlternativesMax ? read_alternative(each, out_.top) : simdjson::SUCCESS;
    });
  }

  TokenRecords& out_;
};

/// Single-precision sums over a vocabulary pass 1 by no more than this.
constexpr double kMassMost = 1 + 1e-3;

/// One array of `audit`. Columns may be added at its end.
error_code read_draw(od::value value, DrawNumbers& draw, std::uint32_t& id) {
  constexpr std::size_t kBasic = 8, kFull = 15;
  std::size_t column = 0;
  const auto error = each_element(value, [&](od::value cell) -> error_code {
    const std::size_t at = column++;
    if (at == 0 || at == 1) {
      const std::uint32_t number = small_number(cell);
      (at == 0 ? draw.position : id) = number;
      return number == kNoNumber ? simdjson::INCORRECT_TYPE : simdjson::SUCCESS;
    }
    if (at == 5) return cell.get_uint64().get(draw.kept_weight);
    if (at == 6) return cell.get_uint64().get(draw.begin);
    if (at == 7) return cell.get_uint64().get(draw.end);
    if (at == 8) return cell.get_double().get(draw.logprob);
    if (at == 11) return cell.get_double().get(draw.top_margin);
    if (at >= 12 && at < kFull) return cell.get_double().get(draw.mass_below[at - 12]);
    return simdjson::SUCCESS;
  });
  if (error) return error;
  draw.full = column >= kFull;
  // The best token's logprob is the sum of both.
  const bool sane =
      fits_float(draw.logprob) && fits_float(draw.top_margin) && fits_float(draw.logprob + draw.top_margin) &&
      std::ranges::all_of(draw.mass_below, [](double mass) { return mass >= 0 && mass <= kMassMost; });
  return column < kBasic || !sane ? simdjson::INCORRECT_TYPE : simdjson::SUCCESS;
}

}  // namespace

void TokenRecords::clear() {
  tokens.clear();
  top.clear();
  draws.clear();
}

Result<void> TokenRecordReader::read(std::string_view logprobs, std::string_view audit, TokenRecords& out) {
  out.clear();
  if (!logprobs.empty()) {
    if (auto read = read_logprobs(logprobs, out); !read) return read;
  }
  if (audit.empty()) return {};
  return read_audit(audit, logprobs.empty(), out);
}

Result<void> TokenRecordReader::read_logprobs(std::string_view logprobs, TokenRecords& out) {
  od::document document;
  od::object root;
  auto error = parser_.impl().open_copy(logprobs).get(document);
  if (!error) error = document.get_object().get(root);
  if (!error) error = Reading(out).logprobs(root);
  if (!error) error = check_end(document);
  if (error) return unreadable(error);
  return {};
}

Result<void> TokenRecordReader::read_audit(std::string_view audit, bool alone, TokenRecords& out) {
  od::document document;
  od::array root;
  auto error = parser_.impl().open_copy(audit).get(document);
  if (!error) error = document.get_array().get(root);
  if (error) return unreadable(error);
  for (auto result : root) {
    od::value value;
    DrawNumbers draw;
    std::uint32_t id = kNoNumber;
    error = std::move(result).get(value);
    if (!error && out.draws.size() >= kRecordsMax) error = kTooManyRecords;
    if (!error) error = read_draw(value, draw, id);
    if (error) return unreadable(error);
    // Without logprobs the arrays are the records.
    if (alone) out.tokens.push_back({.logprob = draw.logprob, .id = id});
    const auto index = static_cast<std::uint32_t>(out.draws.size());
    if (index < out.tokens.size()) out.tokens[index].draw = index;
    out.draws.push_back(draw);
  }
  if (const auto end = check_end(document)) return unreadable(end);
  if (out.tokens.size() == out.draws.size()) return {};
  return fail(ErrorCode::invalid_argument, "logprobs and audit speak of different numbers of tokens");
}

}  // namespace truekeel::protocol
