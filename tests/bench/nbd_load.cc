// SPDX-License-Identifier: Apache-2.0
//
// Load on an NBD server by libnbd, cheap enough not to be what limits it: one thread, so many
// connections with so many requests in flight each, and prints what came of it as a JSON line.
//
//   nbd_load --uri URI --op write|read|mix|trim --block BYTES --bytes TOTAL [--depth N]
//            [--connections N] [--sequential] [--flush-each] [--compressible PERCENT]
//            [--duplicates PERCENT] [--stretch BLOCKS] [--per-second N] [--seed N]
//
// Payload is different in each block of 4 KiB, but for those that repeat an earlier block of the
// run, in stretches of so many blocks (16): no buffer is sent again for want of another. How many
// bytes repeat earlier ones is told: what exact deduplication would find. The compressible
// part of a block is zeroes behind noise. A mix is 70 % reads. With --per-second requests are begun
// on time whatever the server does, and how long each took counts from when it was due; without it,
// the next one begins when one has ended. The time is until all is answered, and flushed.
#include <fmt/core.h>
#include <libnbd.h>
#include <poll.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::nanoseconds;

constexpr std::size_t kGrain = 4096;
constexpr std::size_t kNoiseBytes = 16u << 20;
constexpr unsigned kReadsOfMixPercent = 70;

struct Options {
  std::string uri;
  std::string op = "write";
  std::uint64_t block = kGrain;
  std::uint64_t bytes = 0;
  unsigned depth = 1;
  unsigned connections = 1;
  bool sequential = false;
  bool flush_each = false;
  unsigned compressible = 0;
  unsigned duplicates = 0;
  std::uint64_t stretch = 16;    // grains
  std::uint64_t per_second = 0;  // 0: as fast as it goes
  std::uint64_t seed = 1;
};

[[noreturn]] void fail(const std::string& what) {
  const char* const why = nbd_get_error();
  throw std::runtime_error(what + (why != nullptr ? std::string(": ") + why : std::string()));
}

// What blocks hold, one grain after the other.
class Payload {
 public:
  explicit Payload(const Options& options)
      : noisy_(kGrain * (100 - options.compressible) / 100),
        duplicates_(options.duplicates),
        stretch_(options.stretch),
        random_(options.seed),
        noise_(kNoiseBytes / 8) {
    for (std::uint64_t& word : noise_) word = random_();
  }

  void fill(char* into, std::size_t bytes) {
    for (std::size_t at = 0; at < bytes; at += kGrain) put(into + at, std::min(kGrain, bytes - at));
  }
  // Of grains that equal an earlier one.
  std::uint64_t repeated_bytes() const { return repeated_bytes_; }

 private:
  void put(char* into, std::size_t bytes) {
    if (next_ % stretch_ == 0) {
      const bool repeats = next_ > 0 && random_() % 100 < duplicates_;
      from_ = repeats ? originals_[random_() % originals_.size()] : next_;
      if (!repeats) originals_.push_back(next_);
    }
    if (from_ / stretch_ != next_ / stretch_) repeated_bytes_ += bytes;
    const std::uint64_t number = from_ + next_ % stretch_;
    ++next_;
    const std::size_t noisy = std::max<std::size_t>(8, std::min(noisy_, bytes));
    const std::uint64_t place = number * 0x9e3779b97f4a7c15ULL % (noise_.size() - kGrain / 8);
    std::memcpy(into, noise_.data() + place, noisy);
    std::memset(into + noisy, 0, bytes - noisy);
    std::memcpy(into, &number, sizeof number);  // no other block is the same
  }

  const std::size_t noisy_;
  const unsigned duplicates_;
  const std::uint64_t stretch_;
  std::mt19937_64 random_;
  std::vector<std::uint64_t> noise_;
  std::uint64_t next_ = 0;  // grain
  std::uint64_t from_ = 0;  // the first of the stretch whose content this one has
  std::uint64_t repeated_bytes_ = 0;
  std::vector<std::uint64_t> originals_;  // the first grains of stretches that repeat no other
};

class Load {
 public:
  explicit Load(const Options& options)
      : options_(options), payload_(options), random_(options.seed + 1) {
    for (unsigned i = 0; i < options.connections; ++i) connect();
    device_bytes_ = static_cast<std::uint64_t>(nbd_get_size(connections_.front()->handle));
    total_ = options.bytes / options.block;
    if (device_bytes_ < options.block || total_ == 0) throw std::runtime_error("nothing to do");
    took_.reserve(total_);
  }

  void run() {
    begun_ = Clock::now();
    for (const auto& connection : connections_) {
      for (Slot& slot : connection->slots) begin(slot);
    }
    while (ended_ < total_) wait();
    // What was answered is durable.
    for (const auto& connection : connections_)
      if (nbd_flush(connection->handle, 0) != 0) fail("flush");
    seconds_ = std::chrono::duration<double>(Clock::now() - begun_).count();
  }

  void print() {
    std::sort(took_.begin(), took_.end());
    const auto at = [this](double part) {
      const auto index = static_cast<std::size_t>(part * static_cast<double>(took_.size() - 1));
      return static_cast<double>(took_[index].count()) * 1e-3;
    };
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    const auto seconds = [](timeval time) {
      return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
    };
    fmt::print(
        "{{\"requests\": {}, \"bytes\": {}, \"seconds\": {:.6f}, \"per_second\": {:.1f}, "
        "\"p50_us\": {:.1f}, \"p99_us\": {:.1f}, \"p999_us\": {:.1f}, \"max_us\": {:.1f}, "
        "\"repeated_bytes\": {}, \"own_cpu_seconds\": {:.3f}}}\n",
        total_, total_ * options_.block, seconds_, static_cast<double>(total_) / seconds_, at(0.5),
        at(0.99), at(0.999), at(1), payload_.repeated_bytes(),
        seconds(used.ru_utime) + seconds(used.ru_stime));
  }

 private:
  struct Connection;
  // A request at a time, and with --flush-each its flush.
  struct Slot {
    Connection* connection = nullptr;
    Load* load = nullptr;
    std::vector<char> buffer{};
    Clock::time_point due{};
    bool is_flushing = false;
  };
  struct Connection {
    nbd_handle* handle = nullptr;
    std::vector<Slot> slots{};
    ~Connection() { nbd_close(handle); }
  };

  void connect() {
    auto connection = std::make_unique<Connection>();
    connection->handle = nbd_create();
    if (connection->handle == nullptr) fail("nbd_create");
    if (nbd_connect_uri(connection->handle, options_.uri.c_str()) != 0) fail(options_.uri);
    connection->slots.resize(options_.depth);
    for (Slot& slot : connection->slots) {
      slot.connection = connection.get();
      slot.load = this;
      slot.buffer.resize(options_.block);
    }
    connections_.push_back(std::move(connection));
  }

  std::uint64_t next_offset() {
    const std::uint64_t blocks = device_bytes_ / options_.block;
    return (options_.sequential ? started_ % blocks : random_() % blocks) * options_.block;
  }

  // When the next one is due; now, where nothing says otherwise.
  Clock::time_point due() const {
    if (options_.per_second == 0) return Clock::now();
    const auto since = nanoseconds(started_ * 1'000'000'000 / options_.per_second);
    return begun_ + since;
  }

  void begin(Slot& slot) {
    if (started_ == total_) return;
    slot.due = due();
    if (slot.due > Clock::now()) {
      resting_.push_back(&slot);
      return;
    }
    const std::uint64_t offset = next_offset();
    ++started_;
    const bool reads =
        options_.op == "read" || (options_.op == "mix" && random_() % 100 < kReadsOfMixPercent);
    const nbd_completion_callback done{
        .callback = &Load::on_done, .user_data = &slot, .free = nullptr};
    nbd_handle* const to = slot.connection->handle;
    std::int64_t cookie = -1;
    if (reads) {
      cookie = nbd_aio_pread(to, slot.buffer.data(), options_.block, offset, done, 0);
    } else if (options_.op == "trim") {
      cookie = nbd_aio_trim(to, options_.block, offset, done, 0);
    } else {
      payload_.fill(slot.buffer.data(), options_.block);
      cookie = nbd_aio_pwrite(to, slot.buffer.data(), options_.block, offset, done, 0);
    }
    slot.is_flushing = reads;  // which need none
    if (cookie == -1) fail("a request");
  }

  // libnbd takes no request in here.
  static int on_done(void* slot, int* error) {
    auto* const of = static_cast<Slot*>(slot);
    if (*error != 0) of->load->failed_ = *error;
    of->load->answered_.push_back(of);
    return 1;
  }

  void go_on(Slot& slot) {
    if (options_.flush_each && !slot.is_flushing) {
      slot.is_flushing = true;
      const nbd_completion_callback done{
          .callback = &Load::on_done, .user_data = &slot, .free = nullptr};
      if (nbd_aio_flush(slot.connection->handle, done, 0) == -1) fail("a flush");
      return;
    }
    took_.push_back(Clock::now() - slot.due);
    ++ended_;
    begin(slot);
  }

  void wait() {
    poll_.clear();
    for (const auto& connection : connections_) {
      const unsigned direction = nbd_aio_get_direction(connection->handle);
      short events = 0;
      if ((direction & LIBNBD_AIO_DIRECTION_READ) != 0) events |= POLLIN;
      if ((direction & LIBNBD_AIO_DIRECTION_WRITE) != 0) events |= POLLOUT;
      poll_.push_back({nbd_aio_get_fd(connection->handle), events, 0});
    }
    timespec pause{};
    if (!resting_.empty()) {
      const auto left = std::max(nanoseconds(0), nanoseconds(due() - Clock::now()));
      pause = {.tv_sec = left.count() / 1'000'000'000, .tv_nsec = left.count() % 1'000'000'000};
    }
    ppoll(poll_.data(), poll_.size(), resting_.empty() ? nullptr : &pause, nullptr);
    for (std::size_t i = 0; i < poll_.size(); ++i) {
      nbd_handle* const handle = connections_[i]->handle;
      if ((poll_[i].revents & (POLLIN | POLLHUP)) != 0 && nbd_aio_notify_read(handle) != 0)
        fail("receiving");
      else if ((poll_[i].revents & POLLOUT) != 0 && nbd_aio_notify_write(handle) != 0)
        fail("sending");
    }
    if (failed_ != 0)
      throw std::runtime_error(std::string("a request failed: ") + std::strerror(failed_));
    std::swap(answered_, going_on_);
    for (Slot* const slot : going_on_) go_on(*slot);
    going_on_.clear();
    while (!resting_.empty() && due() <= Clock::now()) {
      Slot* const slot = resting_.back();
      resting_.pop_back();
      begin(*slot);
    }
  }

  const Options options_;
  Payload payload_;
  std::mt19937_64 random_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::uint64_t device_bytes_ = 0;
  std::uint64_t total_ = 0;  // requests
  std::uint64_t started_ = 0;
  std::uint64_t ended_ = 0;
  int failed_ = 0;
  Clock::time_point begun_{};
  double seconds_ = 0;
  std::vector<nanoseconds> took_;
  std::vector<Slot*> answered_;
  std::vector<Slot*> going_on_;
  std::vector<Slot*> resting_;  // until the next one is due
  std::vector<pollfd> poll_;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Load on an NBD server"};
  app.add_option("--uri", options.uri)->required();
  app.add_option("--op", options.op)->check(CLI::IsMember({"write", "read", "mix", "trim"}));
  app.add_option("--block", options.block)
      ->check(CLI::Range(std::uint64_t{512}, std::uint64_t{32} << 20));
  app.add_option("--bytes", options.bytes)->required();
  app.add_option("--depth", options.depth)->check(CLI::Range(1, 1024));
  app.add_option("--connections", options.connections)->check(CLI::Range(1, 64));
  app.add_flag("--sequential", options.sequential);
  app.add_flag("--flush-each", options.flush_each);
  app.add_option("--compressible", options.compressible)->check(CLI::Range(0, 99));
  app.add_option("--duplicates", options.duplicates)->check(CLI::Range(0, 99));
  app.add_option("--stretch", options.stretch)
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 20));
  app.add_option("--per-second", options.per_second);
  app.add_option("--seed", options.seed);
  CLI11_PARSE(app, argc, argv);
  try {
    Load load{options};
    load.run();
    load.print();
  } catch (const std::exception& error) {
    fmt::print(stderr, "nbd_load: {}\n", error.what());
    return 1;
  }
}
