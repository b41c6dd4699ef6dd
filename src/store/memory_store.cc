// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <mutex>

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
    return find(requests_, id);
  }

 private:
  using Requests = std::map<std::string, incident::RequestRecord, std::less<>>;

  void put(const incident::Incident& value) { incidents_.insert_or_assign(value.number, value); }
  void put(const incident::Change& value) { changes_.insert_or_assign(value.number, value); }
  void put(const incident::RequestRecord& value) { requests_.insert_or_assign(value.id, value); }

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
    if (requests_.size() <= most) return;
    std::vector<Requests::iterator> oldest;
    for (auto at = requests_.begin(); at != requests_.end(); ++at) oldest.push_back(at);
    const auto kept = oldest.end() - static_cast<std::ptrdiff_t>(most);
    std::ranges::nth_element(oldest, kept, {}, [](Requests::iterator at) { return at->second.at; });
    std::for_each(oldest.begin(), kept, [this](Requests::iterator at) { requests_.erase(at); });
  }

  std::mutex mutex_;
  std::map<std::uint64_t, incident::Incident> incidents_;
  std::map<std::uint64_t, incident::Change> changes_;
  Requests requests_;
};

}  // namespace

std::unique_ptr<Store> make_memory_store() { return std::make_unique<MemoryStore>(); }

}  // namespace truekeel::store
