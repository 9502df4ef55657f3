// SPDX-License-Identifier: Apache-2.0
#include "journal/hash.h"

#include <openssl/evp.h>
#include <xxhash.h>
#if defined(__x86_64__)
#include <xxh_x86dispatch.h>  // turns the XXH3 functions into ones that pick SSE2, AVX2 or AVX-512
#endif

#include <cstring>

#include "cdp/base/check.h"

namespace journal {

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
  Digest digest;
  unsigned length = 0;
  const int done =
      EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()),
                 &length, algorithm, nullptr);
  CHECK(done == 1 && length == digest.size());
  return digest;
}

bool all_zero(std::span<const std::byte> bytes) {
  if (bytes.empty()) return true;
  // Equal to itself moved by one, and beginning with zero: memcmp is the fastest loop there is.
  return bytes.front() == std::byte{0} &&
         std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

}  // namespace journal
