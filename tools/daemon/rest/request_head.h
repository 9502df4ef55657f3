// SPDX-License-Identifier: Apache-2.0
//
// The header of a request, before it is parsed: whether there is only one way to read it.
//
// Where two servers disagree on where a request ends, a client gets a request past the one in front
// by hiding it in another's body (request smuggling: RFC 9112, section 11.2). Parsers are lenient,
// each in its own way. So whatever the grammar does not allow is refused here, together with what
// it allows and nobody needs: lengths in lists, codings other than "chunked", and a second one of
// any field that this server goes by.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "cdp/base/result.h"

namespace tools {

// The length of the header that `bytes` begin with, its empty line included; nothing where more
// has to come. EINVAL as soon as a byte is there that no header has: a control character, or one
// half of a line's end. `looked_at` is 0 at first and remembers what needs no second look.
cdp::Result<std::optional<std::size_t>> find_head_end(std::string_view bytes,
                                                      std::size_t& looked_at);

// Of a whole header. EINVAL with a sentence where it is not what was described above.
cdp::Status check_head(std::string_view head);

}  // namespace tools
