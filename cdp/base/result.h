// SPDX-License-Identifier: Apache-2.0
//
// Result<T>: the outcome of anything that a disk, a peer, a file or an operator can make fail.
//
// An Error carries an errno value (front-ends map it to their wire, once) and one sentence for a
// person: what failed, on what, why. From the first byte of a request to its reply nothing throws;
// set-up code may turn an Error into an exception with `value_or_throw`, caught once in main.
#pragma once

#include <fmt/core.h>

#include <cerrno>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>

#include "cdp/base/check.h"

namespace cdp {

struct Error {
  int code = EIO;       // errno value, never 0
  std::string message;  // one sentence, without a final full stop

  bool operator==(const Error&) const = default;
};

// Builds an Error whose sentence is formatted by fmt.
template <typename... Args>
[[nodiscard]] Error make_error(int code, fmt::format_string<Args...> format, Args&&... args) {
  return Error{code, fmt::format(format, std::forward<Args>(args)...)};
}

// "opening /x: No such file or directory"
[[nodiscard]] inline Error errno_error(int code, std::string_view doing) {
  return Error{code, fmt::format("{}: {}", doing, std::generic_category().message(code))};
}

template <typename T>
class [[nodiscard]] Result {
 public:
  template <typename U = T>
    requires(std::is_convertible_v<U, T> && !std::is_same_v<std::remove_cvref_t<U>, Error> &&
             !std::is_same_v<std::remove_cvref_t<U>, Result>)
  Result(U&& value) : state_(std::in_place_index<0>, std::forward<U>(value)) {}  // NOLINT: implicit
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {  // NOLINT: implicit
    CHECK(std::get<1>(state_).code != 0);
  }

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & { CHECK(ok()); return std::get<0>(state_); }
  const T& value() const& { CHECK(ok()); return std::get<0>(state_); }
  T&& value() && { CHECK(ok()); return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& { CHECK(!ok()); return std::get<1>(state_); }
  Error&& error() && { CHECK(!ok()); return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) { CHECK(error_->code != 0); }  // NOLINT: implicit

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const& { CHECK(!ok()); return *error_; }
  Error&& error() && { CHECK(!ok()); return std::move(*error_); }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

// For set-up code only: the value, or its Error as a std::runtime_error.
template <typename T>
T value_or_throw(Result<T> result) {
  if (!result.ok()) throw std::runtime_error(result.error().message);
  if constexpr (!std::is_void_v<T>) return std::move(result).value();
}

}  // namespace cdp
