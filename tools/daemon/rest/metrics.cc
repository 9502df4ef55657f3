// SPDX-License-Identifier: Apache-2.0
#include "tools/daemon/rest/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <sstream>
#include <utility>

namespace tools {
namespace {

using cdp::IoStatistics;
using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

constexpr std::pair<IoStatistics::Kind, const char*> kOperations[] = {
    {IoStatistics::Kind::kRead, "read"},   {IoStatistics::Kind::kWrite, "write"},
    {IoStatistics::Kind::kFlush, "flush"}, {IoStatistics::Kind::kDiscard, "discard"},
    {IoStatistics::Kind::kOther, "other"},
};

double seconds_of(cdp::Nanos time) { return static_cast<double>(time.value) * 1e-9; }

class Families {
 public:
  template <typename Number>
  void gauge(const char* name, const char* help, Number value, Labels labels = {}) {
    ClientMetric metric;
    metric.gauge.value = static_cast<double>(value);
    add(name, help, MetricType::Gauge, std::move(metric), std::move(labels));
  }
  // `name` ends with _total.
  template <typename Number>
  void counter(const char* name, const char* help, Number value, Labels labels = {}) {
    ClientMetric metric;
    metric.counter.value = static_cast<double>(value);
    add(name, help, MetricType::Counter, std::move(metric), std::move(labels));
  }
  void latencies(const char* name, const char* help, const IoStatistics::OfKind& of,
                 Labels labels) {
    ClientMetric metric;
    metric.histogram.sample_count = of.requests;
    metric.histogram.sample_sum = seconds_of(of.waited);
    std::uint64_t up_to = 0;
    for (std::size_t i = 0; i < IoStatistics::kBounds.size(); ++i) {
      up_to += of.by_latency[i];
      metric.histogram.bucket.push_back({up_to, seconds_of(IoStatistics::kBounds[i])});
    }
    add(name, help, MetricType::Histogram, std::move(metric), std::move(labels));
  }

  std::string text() const {
    std::ostringstream out;
    prometheus::TextSerializer{}.Serialize(out, families_);
    return out.str();
  }

 private:
  // Those of one name stand together.
  void add(const char* name, const char* help, MetricType type, ClientMetric metric,
           Labels labels) {
    metric.label = std::move(labels);
    const auto [known, is_new] = by_name_.emplace(name, families_.size());
    if (is_new) families_.push_back({name, help, type, {}});
    families_[known->second].metric.push_back(std::move(metric));
  }

  std::vector<MetricFamily> families_;
  std::map<std::string_view, std::size_t> by_name_;
};

void add_volume(Families& families, const VolumeFigures& of) {
  const Labels volume{{"volume", of.name}};
  families.gauge("hindsight_volume_size_bytes", "Size of the volume", of.size_bytes, volume);
  families.gauge("hindsight_volume_up", "1 where the volume is served and takes writes",
                 of.is_served && !of.is_fenced ? 1 : 0, volume);
  if (!of.is_served) return;
  families.gauge("hindsight_volume_fenced", "1 where an error of its storage has stopped it",
                 of.is_fenced ? 1 : 0, volume);
  families.gauge("hindsight_volume_writers_refused", "1 since a rollback until it is resumed",
                 of.writers_refused ? 1 : 0, volume);
  families.gauge("hindsight_volume_connections", "NBD connections", of.connections, volume);
  families.gauge("hindsight_volume_dirty_bytes", "Not written to the backing store yet",
                 of.volume.dirty_bytes, volume);
  families.gauge("hindsight_volume_hydration_remaining_bytes",
                 "At most to be copied to the backing store behind",
                 of.volume.hydration_remaining_blocks * cdp::kBlockBytes, volume);
  families.counter("hindsight_volume_hydrated_bytes_total", "Copied to the backing store behind",
                   of.volume.hydrated_bytes, volume);
  families.counter("hindsight_volume_written_back_bytes_total", "Written to the backing store",
                   of.volume.written_back_bytes, volume);
  for (const auto& [kind, name] : kOperations) {
    const Labels labels{{"volume", of.name}, {"operation", name}};
    const IoStatistics::OfKind& io = of.io.of(kind);
    families.latencies("hindsight_volume_request_duration_seconds",
                       "From the receipt of a client's request to its answer", io, labels);
    families.counter("hindsight_volume_request_bytes_total", "Of requests that went well", io.bytes,
                     labels);
    families.counter("hindsight_volume_request_errors_total", "Requests answered with an error",
                     io.errors, labels);
  }
}

void add_journal(Families& families, const Figures& figures) {
  const journal::JournalStatistics& s = figures.journal;
  const journal::JournalHealth& health = figures.health;
  families.gauge("hindsight_recovery_point_lag_seconds",
                 "How old the oldest change is that a crash of the appliance would lose now",
                 seconds_of(figures.lag));
  families.gauge("hindsight_recorder_queued_bytes", "Payload that is not durable yet",
                 health.queued_blocks * cdp::kBlockBytes);
  families.gauge("hindsight_journal_fenced", "1 where an error of the vault has stopped all writes",
                 health.fenced ? 1 : 0);
  families.gauge("hindsight_journal_out_of_space", "1 where the vault takes no more",
                 health.no_space ? 1 : 0);
  families.counter("hindsight_journal_client_bytes_total", "Payload of recorded writes",
                   s.client_bytes);
  families.counter(
      "hindsight_journal_unique_bytes_total",
      "Of the payload, what is neither zeroes, nor the same as before, nor a duplicate",
      s.unique_bytes);
  families.counter("hindsight_journal_stored_bytes_total", "Unique payload, compressed",
                   s.stored_bytes);
  families.counter("hindsight_journal_appended_bytes_total", "All that was appended to the vault",
                   s.journal_bytes);
  families.counter("hindsight_journal_frames_total", "Appends", s.frames);
  families.counter("hindsight_journal_records_total", "Changes and events", s.records);
  families.counter("hindsight_journal_resends_total",
                   "Appends that failed and were sent to a fresh segment", s.resends);
  const std::pair<const char*, std::uint64_t> blocks[] = {
      {"duplicate", s.duplicate_blocks}, {"same", s.same_blocks}, {"zero", s.zero_blocks}};
  for (const auto& [kind, count] : blocks) {
    families.counter("hindsight_journal_saved_blocks_total",
                     "Blocks of 4096 bytes that needed no storing, by why", count,
                     {{"kind", kind}});
  }
  families.gauge("hindsight_journal_dedup_memory_bytes", "Of what finds duplicates",
                 health.dedup_memory_bytes);
}

void add_vault(Families& families, const Figures& figures) {
  families.gauge("hindsight_vault_segments", "Segments of the journal", figures.segments);
  families.gauge("hindsight_vault_used_bytes", "Bytes of all segments", figures.vault_bytes);
  if (figures.vault_free_bytes) {
    families.gauge("hindsight_vault_free_bytes", "Free on the vault's file system",
                   *figures.vault_free_bytes);
  }
  families.gauge("hindsight_history_oldest_timestamp_seconds", "Where history begins",
                 seconds_of(figures.oldest));
  families.gauge("hindsight_history_newest_timestamp_seconds", "Its newest record",
                 seconds_of(figures.newest));
  families.gauge("hindsight_history_crashes", "Times that the journal was cut", figures.crashes);
  families.gauge("hindsight_index_entries", "Entries of the time index", figures.index.entries);
  families.gauge("hindsight_index_bytes", "Bytes of the time index", figures.index.bytes);
  families.counter("hindsight_index_repairs_total", "Damaged runs that were made anew",
                   figures.index.repairs);
}

}  // namespace

std::string metrics_text(const Figures& figures) {
  Families families;
  families.gauge("hindsight_build_info", "Always 1", 1,
                 {{"version", std::string(figures.version)}});
  families.gauge("hindsight_alerts", "What `hindsight status` has to tell", figures.alerts);
  families.gauge("hindsight_views_open", "Points that are being viewed", figures.open_views);
  families.gauge("hindsight_clones", "Clones", figures.clones);
  for (const VolumeFigures& volume : figures.volumes) add_volume(families, volume);
  add_journal(families, figures);
  add_vault(families, figures);
  return families.text();
}

}  // namespace tools
