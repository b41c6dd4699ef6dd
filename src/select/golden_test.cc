// SPDX-License-Identifier: Apache-2.0
// Vectors from tools/golden/select_golden.py, an arbitrary-precision program that shares no code with the
// library. Red means that the contract changed or the library broke; the vectors change with the contract
// alone.
#include <gtest/gtest.h>

#include <bit>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "base/philox.h"
#include "select/reference.h"
#include "select/select.h"
#include "select/weight.h"

namespace truekeel::select {
namespace {

float float_of(const std::string& hex) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(std::stoul(hex, nullptr, 16)));
}
double double_of(const std::string& hex) {
  return std::bit_cast<double>(std::uint64_t{std::stoull(hex, nullptr, 16)});
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream in(text == "-" ? "" : text);
  for (std::string part; std::getline(in, part, separator);) parts.push_back(part);
  return parts;
}

/// The lines that begin with this word, without it.
std::vector<std::istringstream> lines_of(const std::string& kind) {
  std::ifstream in(SELECT_TESTDATA "/golden.txt");
  std::vector<std::istringstream> lines;
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(kind + " ")) lines.emplace_back(line.substr(kind.size() + 1));
  return lines;
}

TEST(Golden, Weights) {
  auto lines = lines_of("weight");
  ASSERT_EQ(lines.size(), 400u);
  for (auto& line : lines) {
    std::string x, max, temperature;
    std::uint64_t expected = 0;
    line >> x >> max >> temperature >> expected;
    EXPECT_EQ(weight_of(float_of(x), Scale::of(float_of(max), float_of(temperature))), expected)
        << line.str();
  }
}

TEST(Golden, Philox) {
  auto lines = lines_of("philox");
  ASSERT_EQ(lines.size(), 20u);
  for (auto& line : lines) {
    std::uint64_t seed = 0, position = 0, expected = 0;
    std::uint32_t stream = 0;
    line >> seed >> position >> stream >> expected;
    EXPECT_EQ(Draw::at(seed, position, stream).bits, expected) << line.str();
  }
}

struct Request {
  Params params;
  std::vector<TokenCount> counts;
  std::vector<TokenBias> bias;
  std::vector<std::uint64_t> allowed;
  std::vector<float> row;
};

void read_lists(std::istringstream& line, Request& request) {
  std::string counts, bias, allowed, row;
  line >> counts >> bias >> allowed >> row;
  for (const auto& entry : split(counts, ',')) {
    const auto parts = split(entry, ':');
    request.counts.push_back({static_cast<std::uint32_t>(std::stoul(parts[0])),
                              static_cast<std::uint32_t>(std::stoul(parts[1])),
                              static_cast<std::uint32_t>(std::stoul(parts[2]))});
  }
  for (const auto& entry : split(bias, ',')) {
    const auto parts = split(entry, ':');
    request.bias.push_back({static_cast<std::uint32_t>(std::stoul(parts[0])), float_of(parts[1])});
  }
  for (const auto& word : split(allowed, ',')) request.allowed.push_back(std::stoull(word, nullptr, 16));
  for (const auto& value : split(row, ',')) request.row.push_back(float_of(value));
  request.params.counts = request.counts;
  request.params.bias = request.bias;
  request.params.allowed = request.allowed;
}

void read_request(std::istringstream& line, Request& request) {
  std::string chain, temperature, top_p, min_p, repetition, frequency, presence;
  line >> chain >> temperature >> request.params.top_k >> top_p >> min_p >> repetition >> frequency >>
      presence;
  request.params.chain = Chain::parse(chain).value();
  request.params.temperature = float_of(temperature);
  request.params.top_p = double_of(top_p);
  request.params.min_p = double_of(min_p);
  request.params.repetition = float_of(repetition);
  request.params.frequency = float_of(frequency);
  request.params.presence = float_of(presence);
  read_lists(line, request);
}

std::string to_text(const Outcome& outcome) {
  if (!outcome) return outcome.error().fault == Fault::all_forbidden ? "all_forbidden" : "another fault";
  std::ostringstream text;
  text << outcome->id << ' ' << outcome->rank << ' ' << outcome->key_margin << ' ' << outcome->kept_count
       << ' ' << outcome->kept_weight << ' ' << outcome->begin << ' ' << outcome->end;
  return text.str();
}

TEST(Golden, Draws) {
  auto lines = lines_of("draw");
  ASSERT_EQ(lines.size(), 150u);
  for (auto& line : lines) {
    std::uint64_t seed = 0, position = 0;
    std::uint32_t stream = 0;
    line >> seed >> position >> stream;
    Request request;
    read_request(line, request);
    std::string equals, expected;
    line >> equals >> std::ws;
    std::getline(line, expected);
    const Row row{request.row.data(), static_cast<std::uint32_t>(request.row.size()), DType::f32};
    const Draw draw = Draw::at(seed, position, stream);
    Workspace workspace(row.size);
    EXPECT_EQ(to_text(reference_select(row, request.params, draw)), expected) << line.str();
    EXPECT_EQ(to_text(select(row, request.params, draw, workspace)), expected) << line.str();
  }
}

}  // namespace
}  // namespace truekeel::select
