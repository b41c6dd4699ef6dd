// SPDX-License-Identifier: Apache-2.0
#include "protocol/listed_tokens.h"

#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <string>

#include "protocol/answer_walk.h"

namespace truekeel::protocol {
namespace {

using simdjson::error_code;

/// What servers write for a token that cannot be drawn (-9999, the lowest float) says nothing else.
constexpr double kCut = -1000;

constexpr auto kNoNumber = std::numeric_limits<double>::quiet_NaN();

double number_of(od::value value) {
  double number = 0;
  return value.get_double().get(number) == simdjson::SUCCESS ? number : kNoNumber;
}

/// FNV-1a: keys are compared within one run on this machine, between two servers under test, so nothing
/// needs to withstand more than chance.
class Key {
 public:
  void add(std::uint64_t byte) { value_ = (value_ ^ (byte & 0xff)) * 0x100000001b3ULL; }
  void add(std::string_view text) {
    for (const char c : text) add(static_cast<unsigned char>(c));
  }
  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325ULL;
};

void append(ListedRow& row, std::uint64_t key, double logprob) {
  if (row.size() < kListedMax && logprob > kCut && logprob < 1)
    row.push_back({key, static_cast<float>(logprob)});
}

class Rows {
 public:
  Rows(RowsIn where, std::vector<ListedRow>& out) : where_(where), out_(out) {}

  error_code root(od::object object) {
    return each_field(object, [&](od::field& field) {
      if (where_ == RowsIn::score)
        return name_is(field, "tokens") ? records(field.value()) : simdjson::SUCCESS;
      return name_is(field, "choices") ? choices(field.value()) : simdjson::SUCCESS;
    });
  }

 private:
  error_code choices(od::value value) {
    bool first = true;
    return each_element(value, [&](od::value choice) {
      return std::exchange(first, false) ? each_field(choice, [&](od::field& field) { return member(field); })
                                         : simdjson::SUCCESS;
    });
  }

  error_code member(od::field& field) {
    if (where_ == RowsIn::prompt_logprobs) {
      if (!name_is(field, "prompt_logprobs")) return simdjson::SUCCESS;
      return each_element(field.value(), [&](od::value row) { return by_id(row); });
    }
    if (!name_is(field, "logprobs")) return simdjson::SUCCESS;
    return each_field(field.value(), [&](od::field& inner) {
      return name_is(inner, "content") ? records(inner.value()) : simdjson::SUCCESS;
    });
  }

  /// [{"token", "top_logprobs": [{"token", "bytes", "logprob"}]}]
  error_code records(od::value value) {
    return each_element(value, [&](od::value record) {
      return each_field(record, [&](od::field& field) {
        return name_is(field, "top_logprobs") ? alternatives(field.value()) : simdjson::SUCCESS;
      });
    });
  }

  error_code alternatives(od::value value) {
    ListedRow row;
    const auto error = each_element(value, [&](od::value each) { return alternative(each, row); });
    keep(std::move(row));
    return error;
  }

  static error_code alternative(od::value value, ListedRow& row) {
    double logprob = kNoNumber;
    Key bytes;
    bool has_bytes = false;
    std::optional<std::uint64_t> text;
    const auto error = each_field(value, [&](od::field& field) -> error_code {
      if (name_is(field, "logprob")) {
        logprob = number_of(field.value());
      } else if (name_is(field, "bytes")) {
        return each_element(field.value(), [&](od::value byte) {
          std::uint64_t number = 0;
          if (byte.get_uint64().get(number) == simdjson::SUCCESS) bytes.add(number);
          has_bytes = true;
          return simdjson::SUCCESS;
        });
      } else if (name_is(field, "token")) {
        const std::string_view token = token_of(field.value());
        if (!is_string(token)) return simdjson::SUCCESS;
        const auto plain = json_unescape(inside_quotes(token));
        if (!plain) return simdjson::STRING_ERROR;
        Key key;
        key.add(*plain);
        text = key.value();
      }
      return simdjson::SUCCESS;
    });
    if (has_bytes || text) append(row, has_bytes ? bytes.value() : *text, logprob);
    return error;
  }

  /// {"33": {"logprob", "rank", "decoded_token"}}
  error_code by_id(od::value value) {
    ListedRow row;
    const auto error = each_field(value, [&](od::field& field) -> error_code {
      std::string decoded;
      const auto name = name_of(field, decoded);
      if (!name) return simdjson::STRING_ERROR;
      Key key;
      key.add(*name);
      double logprob = kNoNumber;
      const auto inner = each_field(field.value(), [&](od::field& each) {
        if (name_is(each, "logprob")) logprob = number_of(each.value());
        return simdjson::SUCCESS;
      });
      append(row, key.value(), logprob);
      return inner;
    });
    keep(std::move(row));
    return error;
  }

  void keep(ListedRow row) {
    if (!row.empty() && out_.size() < kListedRowsMax) out_.push_back(std::move(row));
  }

  const RowsIn where_;
  std::vector<ListedRow>& out_;
};

}  // namespace

Result<std::vector<ListedRow>> ListedTokenReader::read(std::string_view json, RowsIn where) {
  std::vector<ListedRow> rows;
  od::document document;
  od::object root;
  auto error = parser_.impl().open_copy(json).get(document);
  if (!error) error = document.get_object().get(root);
  if (!error) error = Rows(where, rows).root(root);
  if (!error) error = check_end(document);
  if (error) return fail(ErrorCode::invalid_argument, "the listed tokens cannot be read: " + describe(error));
  return rows;
}

}  // namespace truekeel::protocol
