// SPDX-License-Identifier: Apache-2.0
#include "verify/prompts.h"

#include <fmt/format.h>

#include <array>
#include <span>
#include <string_view>

#include "base/philox.h"

namespace truekeel::verify {
namespace {

using Words = std::span<const std::string_view>;

constexpr std::array<std::string_view, 12> kTasks = {"Write a short story about {}.",
                                                     "Explain {} to a child in four sentences.",
                                                     "List five surprising facts about {}.",
                                                     "Write a poem of eight lines about {}.",
                                                     "Give three arguments for and against {}.",
                                                     "Describe {} as a travel writer would.",
                                                     "Write a dialogue of two friends about {}.",
                                                     "Write a Python function that has to do with {}.",
                                                     "Invent a recipe inspired by {}, with emoji.",
                                                     "Schreibe einige Sätze über {}.",
                                                     "Écris un court paragraphe sur {}.",
                                                     "用中文简短介绍 {}。"};

constexpr std::array<std::string_view, 30> kTopics = {
    "lighthouses", "the moon",     "old maps",    "bread",      "glaciers",      "chess",
    "volcanoes",   "honey bees",   "clocks",      "the violin", "deserts",       "sailing ships",
    "comets",      "tea",          "rivers",      "owls",       "bridges",       "ink",
    "snow",        "night trains", "coral reefs", "paper",      "wind turbines", "mushrooms",
    "subway maps", "magnets",      "tides",       "libraries",  "folk dances",   "earthquakes"};

constexpr std::array<std::string_view, 16> kPeople = {"Anna", "Tomas", "Mirela", "Jon",  "Priya", "Omar",
                                                      "Lena", "Kofi",  "Ines",   "Hiro", "Greta", "Paul",
                                                      "Zoe",  "Marek", "Aisha",  "Ben"};

constexpr std::array<std::string_view, 12> kDeeds = {"repaired",  "measured", "painted",  "moved",
                                                     "described", "lost",     "found",    "counted",
                                                     "sold",      "cleaned",  "replaced", "tested"};

constexpr std::array<std::string_view, 12> kKinds = {"red",    "small",  "heavy", "green",
                                                     "wooden", "broken", "spare", "old",
                                                     "copper", "blue",   "long",  "strange"};

constexpr std::array<std::string_view, 16> kThings = {
    "engine", "compass", "basket", "window", "letter", "lantern", "ladder", "clock",
    "table",  "rope",    "mirror", "wheel",  "chart",  "barrel",  "key",    "sail"};

constexpr std::array<std::string_view, 12> kPlaces = {
    "in the harbour", "near the old mill", "on the bridge", "behind the station",
    "at the market",  "by the river",      "in the cellar", "on the roof",
    "at the school",  "near the orchard",  "in the attic",  "by the gate"};

constexpr std::array<std::string_view, 4> kQuestions = {
    "Summarise the report above in three sentences.", "Which of these events was the most unusual, and why?",
    "Continue the report with three more entries.", "Who did the most work according to the report?"};

/// Streams of one seed: one for each use, so that none repeats another's text.
enum Stream : std::uint32_t { kShort = 1, kLong = 2, kProse = 3 };

std::string_view pick(PhiloxStream& random, Words words) { return words[random.below(words.size())]; }

PhiloxStream stream_of(std::uint64_t seed, std::uint64_t index, Stream use) {
  return PhiloxStream(philox_bits(seed, index, use), use);
}

std::string sentences(PhiloxStream& random, std::size_t words) {
  constexpr std::size_t kWordsEach = 11;
  std::string text;
  for (std::size_t i = 0; i < words; i += kWordsEach)
    text += fmt::format("On day {} {} {} the {} {} {}, and it took {} hours. ", random.below(900) + 1,
                        pick(random, kPeople), pick(random, kDeeds), pick(random, kKinds),
                        pick(random, kThings), pick(random, kPlaces), random.below(11) + 2);
  return text;
}

}  // namespace

std::string short_prompt(std::uint64_t seed, std::uint64_t index) {
  PhiloxStream random = stream_of(seed, index, kShort);
  const std::string topics = fmt::format("{} and {}", pick(random, kTopics), pick(random, kTopics));
  // In turn, so that every style and script comes early.
  return fmt::format(fmt::runtime(kTasks[index % kTasks.size()]), topics) +
         fmt::format(" Mention {} and the number {}.", pick(random, kPeople), random.below(9000) + 100);
}

std::string long_prompt(std::uint64_t seed, std::uint64_t index, std::size_t words) {
  PhiloxStream random = stream_of(seed, index, kLong);
  return "Report.\n" + sentences(random, words) + "\n" + std::string(pick(random, kQuestions));
}

std::string prose(std::uint64_t seed, std::uint64_t index, std::size_t words) {
  PhiloxStream random = stream_of(seed, index, kProse);
  return sentences(random, words);
}

}  // namespace truekeel::verify
