// SPDX-License-Identifier: Apache-2.0
#include "journal/hash.h"

#include <openssl/evp.h>
#include <xxhash.h>
#if defined(__x86_64__)
#include <xxh_x86dispatch.h>  // turns the XXH3 functions into ones that pick SSE2, AVX2 or AVX-512
#endif

#include <algorithm>
#include <cstring>
#include <memory>

#include "cdp/base/check.h"
#include "cdp/io/worker_pool.h"

namespace journal {
namespace {

constexpr std::size_t kHashPart = 64u << 10;  // takes 40 us or so

}  // namespace

std::uint64_t checksum(const Secret& secret, std::span<const std::byte> bytes) {
  return XXH3_64bits_withSecret(bytes.data(), bytes.size(), secret.data(), secret.size());
}

std::uint64_t unkeyed_checksum(std::span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

Fingerprint fingerprint(const Secret& secret, std::span<const std::byte, cdp::kBlockBytes> block) {
  const XXH128_hash_t hash =
      XXH3_128bits_withSecret(block.data(), block.size(), secret.data(), secret.size());
  return {hash.low64, hash.high64};
}

Digest sha256(std::span<const std::byte> bytes) {
  // Fetching the algorithm once keeps OpenSSL's provider look-up out of every frame.
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  CHECK(algorithm != nullptr);
  using Context = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;
  thread_local const Context context{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
  bool done = EVP_DigestInit_ex2(context.get(), algorithm, nullptr) == 1;
  while (!bytes.empty()) {
    const auto part = bytes.first(std::min(bytes.size(), kHashPart));
    done = done && EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1;
    bytes = bytes.subspan(part.size());
    if (!bytes.empty()) cdp::let_others_run();
  }
  Digest digest;
  unsigned length = 0;
  auto* const into = reinterpret_cast<unsigned char*>(digest.data());
  done = done && EVP_DigestFinal_ex(context.get(), into, &length) == 1;
  CHECK(done && length == digest.size());
  return digest;
}

bool all_zero(std::span<const std::byte> bytes) {
  if (bytes.empty()) return true;
  // Equal to itself moved by one, and beginning with zero: memcmp is the fastest loop there is.
  return bytes.front() == std::byte{0} &&
         std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

}  // namespace journal
