// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>

#include "store/store.h"

namespace truekeel::store {
namespace {

class MemoryStore final : public Store {
 public:
  Result<void> write(std::span<const Item> batch) override {
    const std::lock_guard lock(mutex_);
    for (const auto& item : batch) {
      std::visit([this](const auto& value) { put(value); }, item);
    }
    return {};
  }

  Result<bool> prune(const Retention& keep) override {
    const std::lock_guard lock(mutex_);
    forget_but_last(incidents_, [&](const incident::Incident& item) {
      return item.times.resolved && *item.times.resolved < keep.incidents_from;
    });
    forget_but_last(changes_, [&](const incident::Change& item) { return item.at < keep.incidents_from; });
    std::erase_if(requests_, [&](const auto& item) { return item.second.at < keep.requests_from; });
    keep_newest_requests(keep.requests_max);
    return false;
  }

  Result<std::vector<incident::Incident>> incidents(std::size_t most) override {
    const std::lock_guard lock(mutex_);
    std::vector<incident::Incident> found;
    for (auto at = incidents_.rbegin(); at != incidents_.rend() && found.size() < most; ++at) {
      found.push_back(at->second);
    }
    return found;
  }

  Result<std::optional<incident::Incident>> incident(std::uint64_t number) override {
    return find(incidents_, number);
  }

  Result<std::vector<incident::Change>> changes(WallTime from, std::size_t most) override {
    const std::lock_guard lock(mutex_);
    std::vector<incident::Change> found;
    for (const auto& [number, change] : changes_) {
      if (change.at >= from) found.push_back(change);
    }
    std::ranges::sort(found, std::ranges::greater(),
                      [](const incident::Change& change) { return std::pair(change.at, change.number); });
    if (found.size() > most) found.resize(most);
    return found;
  }

  Result<std::uint64_t> last_change_number() override {
    const std::lock_guard lock(mutex_);
    return changes_.empty() ? 0 : changes_.rbegin()->first;
  }

  Result<std::optional<incident::RequestRecord>> request(std::string_view id) override {
    return find(requests_, std::string(id));
  }

 private:
  /// A process remembers fewer than a disk: about 5 MB of them.
  static constexpr std::size_t kRequestsMax = 10'000;

  void put(const incident::Incident& value) { incidents_.insert_or_assign(value.number, value); }
  void put(const incident::Change& value) { changes_.insert_or_assign(value.number, value); }
  void put(const incident::RequestRecord& value) {
    if (requests_.insert_or_assign(value.id, value).second) order_.push_back(value.id);
    keep_newest_requests(kRequestsMax);
  }

  template <class Map, class Key>
  std::optional<typename Map::mapped_type> find(const Map& map, const Key& key) {
    const std::lock_guard lock(mutex_);
    const auto found = map.find(key);
    return found == map.end() ? std::nullopt : std::optional(found->second);
  }

  template <class Map, class Old>
  static void forget_but_last(Map& items, Old old) {
    std::erase_if(items,
                  [&](const auto& item) { return item.first < items.rbegin()->first && old(item.second); });
  }

  void keep_newest_requests(std::size_t most) {
    for (; order_.size() > most; order_.pop_front()) requests_.erase(order_.front());
  }

  std::mutex mutex_;
  std::map<std::uint64_t, incident::Incident> incidents_;
  std::map<std::uint64_t, incident::Change> changes_;
  std::unordered_map<std::string, incident::RequestRecord> requests_;
  std::deque<std::string> order_;  // of requests_, the oldest first; those forgotten for their age may linger
};

}  // namespace

std::unique_ptr<Store> make_memory_store() { return std::make_unique<MemoryStore>(); }

}  // namespace truekeel::store
