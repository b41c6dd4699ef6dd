// SPDX-License-Identifier: Apache-2.0
// A second opinion on what is JSON, for fuzz targets: nlohmann's parser, less strict in two points where
// this layer passes on what it does not read: numbers of any size and halves of surrogate pairs.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace truekeel::protocol {

class JsonOracle : public nlohmann::json_sax<nlohmann::json> {
 public:
  [[nodiscard]] static bool accepts(std::string_view text) {
    JsonOracle oracle;
    return nlohmann::json::sax_parse(text, &oracle) || oracle.lenient_;
  }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return true; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return true; }
  bool start_array(std::size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) override {
    constexpr int kNumberOverflow = 406;
    lenient_ = error.id == kNumberOverflow || std::string_view(error.what()).contains("surrogate");
    return false;
  }

 private:
  bool lenient_ = false;
};

}  // namespace truekeel::protocol
