// SPDX-License-Identifier: Apache-2.0
//
// A polite NBD client on a volume of its own, in a thread: one request at a time, about a thousand
// a second, each block that it reads compared with what it wrote last; now and then it flushes, or
// leaves and comes back by a new connection. What happens to its data and to the time of its
// requests while others misbehave is what it is there to tell.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace hostile {

class Bystander {
 public:
  struct Latencies {  // in microseconds
    std::uint64_t requests = 0, flushes = 0, connections = 0;
    std::uint64_t request_p50 = 0, request_p99 = 0;  // of reads and writes of a block
    std::uint64_t flush_p99 = 0;
    std::uint64_t connect_most = 0;  // from connect(2) to the end of the negotiation
  };

  // Uses the first `blocks` blocks of 4 KiB of the volume, which it fills with zeroes first.
  Bystander(std::string socket_path, std::string export_name, std::uint64_t blocks,
            std::uint64_t seed);
  ~Bystander();
  Bystander(const Bystander&) = delete;
  Bystander& operator=(const Bystander&) = delete;

  // What was measured since the call before. Ends the process with a sentence if the bystander
  // met wrong data, an error or a closed door.
  Latencies take();

 private:
  struct Samples {
    std::vector<std::uint32_t> requests, flushes, connections;
  };
  void run(std::uint64_t seed);
  void connect();
  void request(std::uint16_t command, std::uint64_t offset, std::uint32_t length,
               const char* payload, char* answer);
  void send_all(const char* from, std::size_t bytes);
  void receive_all(char* to, std::size_t bytes);

  const std::string socket_path_;
  const std::string export_name_;
  const std::uint64_t blocks_;
  int fd_ = -1;
  std::uint64_t cookie_ = 0;
  // Written by the bystander's thread between the requests of `take`.
  Samples samples_, taken_;
  std::atomic<int> wanted_{0};  // 1: take() waits; 0: it has what it wanted
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

}  // namespace hostile
