// SPDX-License-Identifier: Apache-2.0
#include "store/writer.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <map>

#include "base/log.h"

namespace truekeel::store {
namespace {

/// What is written without waiting for more; enough that the sync at its end costs little for each.
constexpr std::size_t kBatchMax = 1000;

/// A tenth of the weight of those who serve: enough, for a record takes a microsecond.
constexpr int kNice = 10;

bool is_record(const Item& item) { return std::holds_alternative<incident::RequestRecord>(item); }

WallTime system_now() {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

}  // namespace

Writer::Writer(std::unique_ptr<Store> store, WriterOptions options)
    : store_(std::move(store)),
      options_([&] {
        if (!options.now) options.now = system_now;
        return std::move(options);
      }()),
      thread_([this] { run(); }) {}

Writer::~Writer() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

bool Writer::put(Item item) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    const bool waits = is_record(item);
    if (queue_.size() >= (waits ? options_.queue_max : 2 * options_.queue_max)) {
      ++dropped_;
      return false;
    }
    queue_.push_back(std::move(item));
    ++put_;
    urgent_ = urgent_ || !waits || queue_.size() >= kBatchMax;
    wake = queue_.size() == 1 || !waits || queue_.size() == kBatchMax;
  }
  if (wake) changed_.notify_all();
  return true;
}

bool Writer::flush(Duration most) {
  std::unique_lock lock(mutex_);
  const auto all = put_;
  urgent_ = true;
  changed_.notify_all();
  return changed_.wait_for(lock, most, [&] { return tried_ >= all; }) && !failing_;
}

Writer::State Writer::state() const {
  const std::lock_guard lock(mutex_);
  return {written_, dropped_, failing_};
}

void Writer::run() {
  // Of this thread alone: what it writes was answered already, and must not keep waiting who was not.
  static_cast<void>(::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNice));
  while (take_batch()) {
    if (!batch_.empty()) write_batch();
    if (std::chrono::steady_clock::now() >= prune_due_) prune();
  }
}

/// Adds to the batch what is queued, waiting for it. False at the end.
bool Writer::take_batch() {
  std::unique_lock lock(mutex_);
  if (batch_.empty()) {
    changed_.wait_until(lock, prune_due_, [this] { return ending_ || !queue_.empty(); });
    if (!queue_.empty()) changed_.wait_for(lock, options_.gather, [this] { return ending_ || urgent_; });
  } else {  // the last attempt failed
    changed_.wait_for(lock, options_.retry, [this] { return ending_; });
  }
  if (ending_ && queue_.empty()) return false;
  if (batch_.empty()) {
    std::swap(batch_, queue_);  // each keeps its room for the next
  } else {
    const auto room = kBatchMax - std::min(kBatchMax, batch_.size());
    const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(std::min(room, queue_.size()));
    std::move(queue_.begin(), end, std::back_inserter(batch_));
    queue_.erase(queue_.begin(), end);
  }
  urgent_ = !queue_.empty();
  return true;
}

void Writer::write_batch() {
  const auto written = store_->write(batch_);
  {
    const std::lock_guard lock(mutex_);
    if (written) {
      written_ += batch_.size();
      batch_.clear();
      if (failing_) log_info("store.well_again");
      failing_.reset();
    } else {
      if (failing_ != written.error().message) {
        log(LogLevel::error, "store.failing", {{"why", written.error().message}});
      }
      failing_ = written.error().message;
      keep_what_matters();
    }
    tried_ = put_ - queue_.size();
  }
  changed_.notify_all();
}

/// After a failure: the newest state of each incident, and the changes. Requires: the lock.
void Writer::keep_what_matters() {
  const auto before = batch_.size();
  std::erase_if(batch_, is_record);
  std::map<std::uint64_t, std::size_t> newest;
  for (std::size_t i = 0; i < batch_.size(); ++i) {
    if (const auto* item = std::get_if<incident::Incident>(&batch_[i])) newest[item->number] = i;
  }
  std::vector<Item> kept;
  for (std::size_t i = 0; i < batch_.size(); ++i) {
    const auto* item = std::get_if<incident::Incident>(&batch_[i]);
    if (item == nullptr || newest[item->number] == i) kept.push_back(std::move(batch_[i]));
  }
  dropped_ += before - batch_.size();
  batch_ = std::move(kept);
}

/// While more is left to forget, every turn of the thread does a part of it.
void Writer::prune() {
  const auto now = options_.now();
  const auto pruned =
      store_->prune({.incidents_from = now - floor<std::chrono::milliseconds>(options_.keep),
                     .requests_from = now - floor<std::chrono::milliseconds>(options_.keep_requests),
                     .requests_max = options_.requests_max});
  if (!pruned) log(LogLevel::warning, "store.prune_failed", {{"why", pruned.error().message}});
  if (!pruned.value_or(false)) prune_due_ = std::chrono::steady_clock::now() + options_.prune_every;
}

}  // namespace truekeel::store
