// SPDX-License-Identifier: Apache-2.0
#include "tests/system/hostile_script.h"

#include <algorithm>
#include <array>
#include <concepts>

#include "cdp/base/endian.h"
#include "cdp/nbd/protocol.h"

namespace hostile {
namespace {

using namespace cdp::nbd;

template <std::integral T>
void put(std::string& to, T value) {
  std::byte field[sizeof(T)];
  cdp::store_be(field, value);
  to.append(reinterpret_cast<const char*>(field), sizeof field);
}

std::string noise(Random& random, std::size_t bytes) {
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

// Numbers at which 32-bit arithmetic goes wrong, and some that are merely odd.
std::uint32_t odd_length(Random& random) {
  constexpr std::array<std::uint32_t, 16> kOdd{0,
                                               1,
                                               3,
                                               511,
                                               513,
                                               4095,
                                               4097,
                                               65535,
                                               65536,
                                               65537,
                                               1u << 20,
                                               32u << 20,
                                               (32u << 20) + 1,
                                               0x7fffffff,
                                               0x80000000,
                                               0xffffffff};
  return one_in(random, 8) ? static_cast<std::uint32_t>(random())
                           : kOdd[below(random, kOdd.size())];
}

std::uint64_t odd_offset(Random& random, std::uint64_t size_bytes) {
  switch (below(random, 8)) {
    case 0:
      return size_bytes;
    case 1:
      return size_bytes - 1;
    case 2:
      return ~std::uint64_t{0} - below(random, 4096);
    case 3:
      return std::uint64_t{1} << below(random, 64);
    case 4:
      return random();
    default:
      return below(random, size_bytes);
  }
}

std::string export_name(Random& random, const Target& target) {
  const std::string& right = target.names[below(random, target.names.size())];
  switch (below(random, 16)) {
    case 0:
      return noise(random, below(random, 5000));
    case 1:
      return std::string(below(random, 6000), '@');
    case 2:
      return right + "@";
    case 3:
      return right + "@lsn:" + std::to_string(random() >> below(random, 64));
    case 4:
      return right + "@2020-02-23T18:56:00+08:00";
    case 5:
      return right + '\0' + right;
    case 6:
      return "../" + right;
    case 7:
      return {};
    default:
      return right;
  }
}

std::string meta_context_data(Random& random, const Target& target) {
  const std::string name = export_name(random, target);
  std::string data;
  put(data, static_cast<std::uint32_t>(one_in(random, 6) ? odd_length(random) : name.size()));
  data += name;
  const auto queries = static_cast<std::uint32_t>(below(random, one_in(random, 8) ? 1500 : 4));
  put(data, one_in(random, 8) ? odd_length(random) : queries);
  for (std::uint32_t i = 0; i < queries; ++i) {
    constexpr std::array<std::string_view, 4> kQueries{"base:allocation", "base:", "",
                                                       "qemu:dirty-bitmap:x"};
    const std::string_view query = kQueries[below(random, kQueries.size())];
    put(data, static_cast<std::uint32_t>(one_in(random, 32) ? odd_length(random) : query.size()));
    data += query;
  }
  return data;
}

std::string info_data(Random& random, const Target& target) {
  const std::string name = export_name(random, target);
  std::string data;
  put(data, static_cast<std::uint32_t>(one_in(random, 6) ? odd_length(random) : name.size()));
  data += name;
  const auto wanted = static_cast<std::uint16_t>(below(random, one_in(random, 16) ? 3000 : 4));
  put(data, one_in(random, 8) ? static_cast<std::uint16_t>(random()) : wanted);
  for (unsigned i = 0; i < wanted; ++i) put(data, static_cast<std::uint16_t>(below(random, 6)));
  return data;
}

void put_hostile_option(std::string& to, Random& random, const Target& target) {
  std::uint32_t option = static_cast<std::uint32_t>(2 + below(random, 10));
  if (one_in(random, 10)) option = odd_length(random);
  std::string data;
  switch (below(random, 5)) {
    case 0:
      break;
    case 1:
      data = meta_context_data(random, target);
      break;
    case 2:
      data = noise(random, below(random, one_in(random, 20) ? 70'000 : 300));
      break;
    default:
      data = info_data(random, target);
  }
  put(to, one_in(random, 30) ? random() : kOptionMagic);
  put(to, option);
  put(to, static_cast<std::uint32_t>(one_in(random, 8) ? odd_length(random) : data.size()));
  to += data;
}

void put_negotiation(std::string& to, Random& random, const Target& target) {
  put_client_flags(to, one_in(random, 12) ? static_cast<std::uint32_t>(random())
                                          : static_cast<std::uint32_t>(below(random, 4)));
  if (one_in(random, 300)) {
    for (unsigned i = 0; i < 5000; ++i)
      put_option(to, kOptList, {});  // beyond the limit of options
  }
  for (auto left = below(random, one_in(random, 20) ? 200 : 4); left > 0; --left) {
    put_hostile_option(to, random, target);
  }
  const std::string& name = target.names[below(random, target.names.size())];
  if (one_in(random, 2)) put_option(to, kOptStructuredReply, {});
  if (one_in(random, 3)) {
    std::string data;
    put(data, static_cast<std::uint32_t>(name.size()));
    data += name;
    put(data, std::uint32_t{1});
    put(data, std::uint32_t{15});
    data += "base:allocation";
    put_option(to, kOptSetMetaContext, data);
  }
  const std::string wanted = one_in(random, 8) ? export_name(random, target) : name;
  if (one_in(random, 4)) {
    put_option(to, kOptExportName, wanted);
  } else {
    put_option(to, kOptGo, go_data(wanted));
  }
}

// Most are small, so that what is measured is the server's patience and not the disk's.
void put_hostile_request(std::string& to, Random& random, const Target& target) {
  auto command = static_cast<std::uint16_t>(below(random, 8));
  if (one_in(random, 12)) command = static_cast<std::uint16_t>(random());
  if (command == static_cast<std::uint16_t>(Command::kDisconnect) && !one_in(random, 8))
    command = 0;
  const auto flags = static_cast<std::uint16_t>(
      one_in(random, 3) ? (one_in(random, 4) ? random() : below(random, 32)) : 0);
  auto length = static_cast<std::uint32_t>(below(random, 6) * 512);
  if (one_in(random, 10)) length = static_cast<std::uint32_t>(below(random, 70'000));
  std::uint64_t offset = below(random, target.size_bytes - 70'000);
  if (one_in(random, 5)) length = odd_length(random);
  if (one_in(random, 5)) offset = odd_offset(random, target.size_bytes);
  put_request(to, flags, command, random(), offset, length);
  if (command != static_cast<std::uint16_t>(Command::kWrite)) return;
  // What does not fit is cut: half a payload, or requests where a payload should be.
  const std::size_t sent = std::min<std::size_t>(length, 20'000);
  to.append(one_in(random, 6) ? below(random, sent + 1) : sent, static_cast<char>(random()));
}

void damage(std::string& bytes, Random& random) {
  if (bytes.empty()) return;
  const std::size_t at = below(random, bytes.size());
  switch (below(random, 8)) {
    case 0:
    case 1:
      bytes.resize(at);
      break;
    case 2:
      bytes[at] = static_cast<char>(random());
      break;
    case 3:
      bytes[at] =
          static_cast<char>(static_cast<unsigned char>(bytes[at]) ^ (1u << below(random, 8)));
      break;
    case 4:
      bytes.insert(at, noise(random, 1 + below(random, 40)));
      break;
    case 5:
      bytes.erase(at, 1 + below(random, 40));
      break;
    default:
      break;  // undamaged, as hostile as it was made
  }
}

}  // namespace

void put_client_flags(std::string& to, std::uint32_t flags) { put(to, flags); }

void put_option(std::string& to, std::uint32_t option, std::string_view data) {
  put(to, kOptionMagic);
  put(to, option);
  put(to, static_cast<std::uint32_t>(data.size()));
  to += data;
}

std::string go_data(std::string_view name) {
  std::string data;
  put(data, static_cast<std::uint32_t>(name.size()));
  data += name;
  put(data, std::uint16_t{0});
  return data;
}

void put_request(std::string& to, std::uint16_t flags, std::uint16_t command, std::uint64_t cookie,
                 std::uint64_t offset, std::uint32_t length) {
  put(to, kRequestMagic);
  put(to, flags);
  put(to, command);
  put(to, cookie);
  put(to, offset);
  put(to, length);
}

Script make_script(std::uint64_t seed, const Target& target) {
  Random random{seed};
  Script script;
  script.tcp = one_in(random, 3);
  script.listens = one_in(random, 2);
  if (one_in(random, 60)) {
    script.bytes = noise(random, below(random, 2000));
  } else {
    put_negotiation(script.bytes, random, target);
    for (auto left = below(random, one_in(random, 80) ? 600 : 8); left > 0; --left) {
      put_hostile_request(script.bytes, random, target);
    }
    if (one_in(random, 40)) put(script.bytes, random());  // bad magic after all
    damage(script.bytes, random);
  }
  if (one_in(random, 200)) {
    script.step_bytes = 1 + below(random, 64);
    script.pause_ms = 5 + static_cast<unsigned>(below(random, 50));
    script.bytes.resize(std::min<std::size_t>(script.bytes.size(), script.step_bytes * 60));
  }
  script.linger_ms = static_cast<unsigned>(one_in(random, 4) ? below(random, 20) : 0);
  const std::uint64_t end = below(random, 100);
  if (end < 50) {
    script.end = Script::End::kClose;
  } else if (end < 80) {
    script.end = Script::End::kReset;
  } else if (end < 99) {
    script.end = Script::End::kHalfClose;
    script.linger_ms = 2000;  // at most
  } else {
    script.end = Script::End::kHold;
    script.linger_ms = 100 + static_cast<unsigned>(below(random, 1500));
  }
  return script;
}

}  // namespace hostile
