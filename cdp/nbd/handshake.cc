// SPDX-License-Identifier: Apache-2.0
#include "cdp/nbd/handshake.h"

#include <spdlog/spdlog.h>

#include <cerrno>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "cdp/base/endian.h"
#include "cdp/nbd/errors.h"
#include "cdp/nbd/limits.h"
#include "cdp/nbd/protocol.h"

namespace cdp::nbd {
namespace {

// Reads the fields of an option's data; once something is missing, `ok` stays false.
class Fields {
 public:
  explicit Fields(std::span<const std::byte> data) : rest_(data) {}

  template <std::integral T>
  T number() {
    if (!take(sizeof(T))) return 0;
    return load_be<T>(taken_.data());
  }
  // A string of at most kMaxStringBytes without NUL.
  std::string_view string(std::uint32_t bytes) {
    if (bytes > kMaxStringBytes || !take(bytes)) {
      ok_ = false;
      return {};
    }
    const std::string_view text{reinterpret_cast<const char*>(taken_.data()), bytes};
    if (text.find('\0') != std::string_view::npos) ok_ = false;
    return text;
  }
  bool ok() const { return ok_; }
  bool ended() const { return ok_ && rest_.empty(); }

 private:
  bool take(std::size_t bytes) {
    if (!ok_ || rest_.size() < bytes) return ok_ = false;
    taken_ = rest_.first(bytes);
    rest_ = rest_.subspan(bytes);
    return true;
  }

  std::span<const std::byte> rest_;
  std::span<const std::byte> taken_;
  bool ok_ = true;
};

// A message to the client, built field by field.
class Message {
 public:
  template <std::integral T>
  Message& number(T value) {
    std::byte field[sizeof(T)];
    store_be(field, value);
    bytes_.insert(bytes_.end(), field, field + sizeof(T));
    return *this;
  }
  Message& string(std::string_view text) {
    const auto* from = reinterpret_cast<const std::byte*>(text.data());
    bytes_.insert(bytes_.end(), from, from + text.size());
    return *this;
  }
  Message& zeroes(std::size_t count) {
    bytes_.resize(bytes_.size() + count);
    return *this;
  }
  std::span<const std::byte> bytes() const { return bytes_; }
  void clear() { bytes_.clear(); }

 private:
  std::vector<std::byte> bytes_;
};

class Negotiation {
 public:
  Negotiation(Input& input, Channel& channel, ExportList& exports, ServerShared* shared,
              TlsTerms tls)
      : input_(input), channel_(channel), exports_(&exports), shared_(shared), tls_(tls) {}

  Task<Result<std::optional<Agreement>>> run();

 private:
  enum class Next { kOption, kTransmission, kEnd };

  Task<Status> greet();
  Task<Result<Next>> serve_option();
  Task<Next> answer(std::uint32_t option, std::span<const std::byte> data);
  Task<Status> send(const Message& message);
  Task<Result<Next>> send_replies(Next next);

  bool tls_is_missing() const { return tls_.mode == TlsMode::kRequired && !channel_.is_secure(); }
  Task<Result<Next>> demand_tls(std::uint32_t option, std::uint32_t length);
  Task<Result<Next>> start_tls(std::uint32_t length);
  void begin_anew(std::unique_ptr<ExportList> exports);
  Task<Result<Next>> enter_by_export_name(std::uint32_t length);
  void list(std::span<const std::byte> data);
  Task<Next> info_or_go(std::uint32_t option, std::span<const std::byte> data);
  void structured_reply(std::span<const std::byte> data);
  Task<void> meta_context(std::uint32_t option, std::span<const std::byte> data);

  void reply(std::uint32_t option, std::uint32_t type, std::string_view text = {}) {
    reply_header(option, type, text.size()).string(text);
  }
  Message& reply_header(std::uint32_t option, std::uint32_t type, std::size_t bytes) {
    return replies_.number(kOptionReplyMagic)
        .number(option)
        .number(type)
        .number(static_cast<std::uint32_t>(bytes));
  }
  // The last export asked for stays open, so that INFO and the GO after it meet the same one. The
  // error's sentence is for the client.
  Task<Status> open(std::string name);
  // The same for what the connection is to serve, where there is room for it.
  Task<Status> enter(std::string name);
  std::string description() const;

  Input& input_;
  Channel& channel_;
  ExportList* exports_;
  std::unique_ptr<ExportList> client_exports_;  // behind TLS, what exports_ is
  ServerShared* const shared_;
  const TlsTerms tls_;
  bool no_zeroes_ = false;
  Agreement agreement_;
  std::optional<std::string> context_export_;  // that base:allocation was selected for
  Message replies_;
};

Task<Status> Negotiation::send(const Message& message) {
  if (message.bytes().empty()) co_return Status{};
  const iovec all{const_cast<std::byte*>(message.bytes().data()), message.bytes().size()};
  co_return co_await channel_.send({&all, 1});
}

Task<Status> Negotiation::open(std::string name) {
  if (agreement_.device && agreement_.export_name == name) co_return Status{};
  agreement_.place.reset();
  agreement_.device.reset();
  agreement_.export_name = name;
  Result<std::shared_ptr<BlockDevice>> found = co_await exports_->find(name);
  const int problem = found.ok() ? 0 : found.error().code;
  if (problem == EACCES && (shared_ == nullptr || shared_->log.take())) {
    spdlog::warn("nbd client {}: refused '{}': {}", channel_.peer(), printable(name),
                 found.error().message);
  }
  if (problem != 0 && problem != ENOENT && problem != EACCES) co_return std::move(found).error();
  if (!found.ok() || *found == nullptr) {
    co_return make_error(ENOENT, "there is no export named '{}'", printable(name));
  }
  agreement_.device = *std::move(found);
  co_return Status{};
}

Task<Status> Negotiation::enter(std::string name) {
  Status opened = co_await open(std::move(name));
  if (!opened.ok() || shared_ == nullptr || agreement_.place != nullptr) co_return opened;
  Result<Admissions::Place> place = shared_->admissions.admit(*agreement_.device);
  if (!place.ok()) co_return std::move(place).error();
  agreement_.place = *std::move(place);
  co_return Status{};
}

std::string Negotiation::description() const {
  for (ExportList::Entry& entry : exports_->exports()) {
    if (entry.name == agreement_.export_name) return std::move(entry.description);
  }
  return {};
}

Task<Status> Negotiation::greet() {
  Message greeting;
  greeting.number(kInitMagic).number(kOptionMagic);
  greeting.number(static_cast<std::uint16_t>(kFlagFixedNewstyle | kFlagNoZeroes));
  Status done = co_await send(greeting);
  if (done.ok()) done = co_await input_.need(sizeof(std::uint32_t));
  if (!done.ok()) co_return done;
  const auto flags = load_be<std::uint32_t>(input_.buffered().data());
  input_.consume(sizeof flags);
  if ((flags & ~(kClientFlagFixedNewstyle | kClientFlagNoZeroes)) != 0) {
    co_return make_error(EPROTO, "the client set unknown handshake flags ({:#x})", flags);
  }
  no_zeroes_ = (flags & kClientFlagNoZeroes) != 0;
  co_return Status{};
}

Task<Result<std::optional<Agreement>>> Negotiation::run() {
  Status greeted = co_await greet();
  if (!greeted.ok()) co_return std::move(greeted).error();
  for (unsigned options = 0; options < kOptionsMax; ++options) {
    Status more = co_await input_.need(1);
    if (!more.ok() && more.error().code == EPIPE) co_return std::nullopt;
    if (!more.ok()) co_return std::move(more).error();
    Result<Next> next = co_await serve_option();
    if (!next.ok()) co_return std::move(next).error();
    if (*next == Next::kEnd) co_return std::nullopt;
    if (*next == Next::kTransmission) {
      agreement_.allocation_context = context_export_ == agreement_.export_name;
      co_return std::move(agreement_);
    }
  }
  co_return make_error(EPROTO, "the client sent {} options without choosing an export",
                       kOptionsMax);
}

Task<Result<Negotiation::Next>> Negotiation::serve_option() {
  Status got = co_await input_.need(kOptionHeaderBytes);
  if (!got.ok()) co_return std::move(got).error();
  const std::byte* const header = input_.buffered().data();
  const auto magic = load_be<std::uint64_t>(header);
  const auto option = load_be<std::uint32_t>(header + 8);
  const auto length = load_be<std::uint32_t>(header + 12);
  if (magic != kOptionMagic) {
    co_return make_error(EPROTO, "the client sent {:#x} where an option should begin", magic);
  }
  input_.consume(kOptionHeaderBytes);
  if (option == kOptStartTls) co_return co_await start_tls(length);
  if (tls_is_missing() && option != kOptAbort) co_return co_await demand_tls(option, length);
  if (option == kOptExportName) co_return co_await enter_by_export_name(length);

  Next next = Next::kOption;
  if (length > kOptionBytesMax) {
    got = co_await input_.skip(length);
    if (!got.ok()) co_return std::move(got).error();
    if (option == kOptAbort) {
      next = co_await answer(option, {});
    } else if (option >= kOptList && option <= kOptSetMetaContext) {
      reply(option, kReplyErrorTooBig, "the option's data is too long");
    } else {
      next = co_await answer(option, {});
    }
  } else {
    got = co_await input_.need(length);
    if (!got.ok()) co_return std::move(got).error();
    // Nobody else receives meanwhile, so that the data stays where it is.
    next = co_await answer(option, input_.buffered().first(length));
    input_.consume(length);
  }
  co_return co_await send_replies(next);
}

Task<Result<Negotiation::Next>> Negotiation::send_replies(Next next) {
  const Status sent = co_await send(replies_);
  replies_.clear();
  // A client may leave after NBD_OPT_ABORT without waiting for the answer.
  if (!sent.ok() && next != Next::kEnd) co_return sent.error();
  co_return next;
}

Task<Negotiation::Next> Negotiation::answer(std::uint32_t option, std::span<const std::byte> data) {
  switch (option) {
    case kOptAbort:
      reply(option, kReplyAck);
      co_return Next::kEnd;
    case kOptList:
      list(data);
      co_return Next::kOption;
    case kOptInfo:
    case kOptGo:
      co_return co_await info_or_go(option, data);
    case kOptStructuredReply:
      structured_reply(data);
      co_return Next::kOption;
    case kOptListMetaContext:
    case kOptSetMetaContext:
      co_await meta_context(option, data);
      co_return Next::kOption;
    default:
      reply(option, kReplyErrorUnsupported);
      co_return Next::kOption;
  }
}

// --- TLS.

Task<Result<Negotiation::Next>> Negotiation::demand_tls(std::uint32_t option,
                                                        std::uint32_t length) {
  if (option == kOptExportName) {
    co_return make_error(EPERM, "the client asked for an export without TLS, which is required");
  }
  Status skipped = co_await input_.skip(length);
  if (!skipped.ok()) co_return std::move(skipped).error();
  reply(option, kReplyErrorTlsRequired, "TLS is required here: begin with NBD_OPT_STARTTLS");
  co_return co_await send_replies(Next::kOption);
}

Task<Result<Negotiation::Next>> Negotiation::start_tls(std::uint32_t length) {
  std::uint32_t verdict = kReplyAck;
  if (tls_.mode == TlsMode::kOff) {
    verdict = kReplyErrorUnsupported;
  } else if (length != 0 || channel_.is_secure()) {
    verdict = kReplyErrorInvalid;
  }
  if (verdict != kReplyAck) {
    Status skipped = co_await input_.skip(length);
    if (!skipped.ok()) co_return std::move(skipped).error();
    reply(kOptStartTls, verdict);
    co_return co_await send_replies(Next::kOption);
  }
  // Somebody in between could have put there what would later pass for the client's own words.
  if (!input_.buffered().empty()) {
    co_return make_error(EPROTO, "{} bytes came in clear behind the client's NBD_OPT_STARTTLS",
                         input_.buffered().size());
  }
  reply(kOptStartTls, kReplyAck);
  Result<Next> acknowledged = co_await send_replies(Next::kOption);
  if (!acknowledged.ok()) co_return acknowledged;
  Result<Security::Secured> secured = co_await tls_.security->secure(channel_.plain());
  if (!secured.ok()) co_return std::move(secured).error();
  CHECK(secured->exports != nullptr);
  channel_.secure(std::move(secured->stream));
  begin_anew(std::move(secured->exports));
  co_return Next::kOption;
}

void Negotiation::begin_anew(std::unique_ptr<ExportList> exports) {
  agreement_ = {};
  context_export_.reset();
  client_exports_ = std::move(exports);
  exports_ = client_exports_.get();
}

// --- Options.

// This option cannot be refused by an answer, so what is wrong with it ends the connection.
Task<Result<Negotiation::Next>> Negotiation::enter_by_export_name(std::uint32_t length) {
  if (length > kMaxStringBytes) {
    co_return make_error(EPROTO, "the client asked for an export by a name of {} bytes", length);
  }
  Status got = co_await input_.need(length);
  if (!got.ok()) co_return std::move(got).error();
  Fields fields{input_.buffered().first(length)};
  const std::string name{fields.string(length)};
  input_.consume(length);
  Status opened;
  if (fields.ok()) opened = co_await enter(name);
  if (!fields.ok() || !opened.ok()) {
    co_return make_error(ENOENT, "the client asked for an export that is not there: '{}'{}{}",
                         printable(name), opened.ok() ? "" : ": ",
                         opened.ok() ? "" : opened.error().message);
  }
  Message welcome;
  welcome.number(agreement_.device->size_bytes());
  welcome.number(transmission_flags(*agreement_.device, agreement_.structured_replies));
  if (!no_zeroes_) welcome.zeroes(kExportNamePaddingBytes);
  Status sent = co_await send(welcome);
  if (!sent.ok()) co_return std::move(sent).error();
  co_return Next::kTransmission;
}

void Negotiation::list(std::span<const std::byte> data) {
  if (!data.empty()) return reply(kOptList, kReplyErrorInvalid, "NBD_OPT_LIST has no data");
  for (const ExportList::Entry& entry : exports_->exports()) {
    reply_header(kOptList, kReplyServer, 4 + entry.name.size() + entry.description.size())
        .number(static_cast<std::uint32_t>(entry.name.size()))
        .string(entry.name)
        .string(entry.description);
  }
  reply(kOptList, kReplyAck);
}

Task<Negotiation::Next> Negotiation::info_or_go(std::uint32_t option,
                                                std::span<const std::byte> data) {
  Fields fields{data};
  const std::string name{fields.string(fields.number<std::uint32_t>())};
  bool wants_name = false;
  bool wants_description = false;
  bool wants_block_size = false;
  for (auto left = fields.number<std::uint16_t>(); left > 0 && fields.ok(); --left) {
    const auto wanted = fields.number<std::uint16_t>();
    wants_name |= wanted == kInfoName;
    wants_description |= wanted == kInfoDescription;
    wants_block_size |= wanted == kInfoBlockSize;
  }
  if (!fields.ended()) {
    reply(option, kReplyErrorInvalid, "the option's lengths do not agree, or its name is invalid");
    co_return Next::kOption;
  }
  Status opened;
  if (option == kOptGo) {
    opened = co_await enter(name);
  } else {
    opened = co_await open(name);
  }
  if (!opened.ok()) {
    const bool full = opened.error().code == EBUSY;
    reply(option, full ? kReplyErrorPolicy : kReplyErrorUnknown, opened.error().message);
    co_return Next::kOption;
  }
  reply_header(option, kReplyInfo, 12)
      .number(kInfoExport)
      .number(agreement_.device->size_bytes())
      .number(transmission_flags(*agreement_.device, agreement_.structured_replies));
  if (wants_name) {
    reply_header(option, kReplyInfo, 2 + name.size()).number(kInfoName).string(name);
  }
  if (wants_description) {
    const std::string text = description();
    reply_header(option, kReplyInfo, 2 + text.size()).number(kInfoDescription).string(text);
  }
  if (wants_block_size) {
    reply_header(option, kReplyInfo, 14)
        .number(kInfoBlockSize)
        .number(kMinimumBlockBytes)
        .number(kPreferredBlockBytes)
        .number(kMaxPayloadBytes);
  }
  reply(option, kReplyAck);
  co_return option == kOptGo ? Next::kTransmission : Next::kOption;
}

void Negotiation::structured_reply(std::span<const std::byte> data) {
  if (!data.empty()) {
    return reply(kOptStructuredReply, kReplyErrorInvalid, "NBD_OPT_STRUCTURED_REPLY has no data");
  }
  agreement_.structured_replies = true;
  reply(kOptStructuredReply, kReplyAck);
}

Task<void> Negotiation::meta_context(std::uint32_t option, std::span<const std::byte> data) {
  const bool selects = option == kOptSetMetaContext;
  if (selects) context_export_.reset();  // also when this fails
  if (!agreement_.structured_replies) {
    reply(option, kReplyErrorInvalid, "structured replies must be negotiated first");
    co_return;
  }
  Fields fields{data};
  const std::string name{fields.string(fields.number<std::uint32_t>())};
  const auto queries = fields.number<std::uint32_t>();
  if (fields.ok() && queries > kMetaContextQueriesMax) {
    reply(option, kReplyErrorTooBig, "there are too many queries");
    co_return;
  }
  bool matches = queries == 0 && !selects;
  for (std::uint32_t i = 0; i < queries && fields.ok(); ++i) {
    const std::string_view query = fields.string(fields.number<std::uint32_t>());
    matches |= query == kAllocationContextName || (query == "base:" && !selects);
  }
  if (!fields.ended()) {
    reply(option, kReplyErrorInvalid, "the option's lengths do not agree, or a string is invalid");
    co_return;
  }
  Status opened = co_await open(name);
  if (!opened.ok()) {
    reply(option, kReplyErrorUnknown, opened.error().message);
    co_return;
  }
  if (matches) {
    reply_header(option, kReplyMetaContext, 4 + std::strlen(kAllocationContextName))
        .number(selects ? kAllocationContextId : 0u)
        .string(kAllocationContextName);
    if (selects) context_export_ = name;
  }
  reply(option, kReplyAck);
}

}  // namespace

std::uint16_t transmission_flags(const BlockDevice& device, bool structured_replies) {
  unsigned flags = kTransmissionHasFlags | kTransmissionSendFlush | kTransmissionSendFua |
                   kTransmissionCanMultiConn | kTransmissionSendCache;
  if (device.read_only()) {
    flags |= kTransmissionReadOnly;
  } else {
    flags |= kTransmissionSendTrim | kTransmissionSendWriteZeroes | kTransmissionSendFastZero;
  }
  if (structured_replies) flags |= kTransmissionSendDf;
  return static_cast<std::uint16_t>(flags);
}

Task<Result<std::optional<Agreement>>> negotiate(Input& input, Channel& channel,
                                                 ExportList& exports, ServerShared* shared,
                                                 TlsTerms tls) {
  Negotiation negotiation{input, channel, exports, shared, tls};
  co_return co_await negotiation.run();
}

}  // namespace cdp::nbd
