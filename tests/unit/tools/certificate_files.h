// SPDX-License-Identifier: Apache-2.0
//
// Certificates for tests, made on the spot.
#pragma once

#include <filesystem>

namespace tools {

// Writes a new key, and a certificate of it that it has signed itself, in PEM. Where `passphrase`
// is named, the key wants it.
void write_certificate(const std::filesystem::path& certificate, const std::filesystem::path& key,
                       const char* passphrase = nullptr);

}  // namespace tools
