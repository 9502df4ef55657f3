// SPDX-License-Identifier: Apache-2.0
#include "tools/check/contents.h"

#include <blkid/blkid.h>
#include <fcntl.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <memory>
#include <stdexcept>
#include <utility>

#include "cdp/io/file_disk.h"
#include "tools/check/tool.h"
#include "tools/daemon/checks/checker_protocol.h"

namespace check {

namespace json = boost::json;

namespace {

constexpr std::uint64_t kSectorBytes = 512;  // of libblkid's numbers, whatever the device has
constexpr std::size_t kLabelBytesMax = 256;
constexpr std::size_t kNameBytesMax = 64;
constexpr int kAmbivalent = -2;

struct ProbeEnd {
  void operator()(blkid_struct_probe* probe) const { blkid_free_probe(probe); }
};
using Probe = std::unique_ptr<blkid_struct_probe, ProbeEnd>;

Probe probe_of(int fd, std::uint64_t offset, std::uint64_t bytes) {
  Probe probe{blkid_new_probe()};
  if (probe == nullptr || blkid_probe_set_device(probe.get(), fd, static_cast<blkid_loff_t>(offset),
                                                 static_cast<blkid_loff_t>(bytes)) != 0)
    throw std::runtime_error("libblkid does not take the device");
  return probe;
}

std::string one_line(const char* text, std::size_t bytes_max) {
  std::string plain = plain_tail(text == nullptr ? "" : text, bytes_max);
  std::ranges::replace(plain, '\n', ' ');
  return plain;
}

std::string value_of(const Probe& probe, const char* name, std::size_t bytes_max) {
  const char* value = nullptr;
  if (blkid_probe_lookup_value(probe.get(), name, &value, nullptr) != 0) return {};
  return one_line(value, bytes_max);
}

// Fills in what is there. What has signatures of several kinds is unknown.
void name_content(int fd, Area& area) {
  const Probe probe = probe_of(fd, area.offset, area.bytes);
  blkid_probe_enable_superblocks(probe.get(), 1);
  blkid_probe_set_superblocks_flags(probe.get(),
                                    BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL | BLKID_SUBLKS_UUID);
  const int found = blkid_do_safeprobe(probe.get());
  if (found < 0 && found != kAmbivalent) throw std::runtime_error("the device cannot be read");
  area.type = found == 0 ? value_of(probe, "TYPE", kNameBytesMax) : "";
  if (area.type.empty()) area.type = kUnknown;
  if (area.type == kUnknown) return;
  area.label = value_of(probe, "LABEL", kLabelBytesMax);
  area.uuid = value_of(probe, "UUID", kNameBytesMax);
}

void add_partitions(int fd, std::uint64_t device_bytes, Contents& contents) {
  const Probe probe = probe_of(fd, 0, device_bytes);
  blkid_probe_enable_superblocks(probe.get(), 0);
  blkid_probe_enable_partitions(probe.get(), 1);
  const blkid_partlist list = blkid_probe_get_partitions(probe.get());
  const blkid_parttable table = list == nullptr ? nullptr : blkid_partlist_get_table(list);
  if (table == nullptr) return;
  const char* const type = blkid_parttable_get_type(table);
  contents.table = PartitionTable{one_line(type, kNameBytesMax),
                                  one_line(blkid_parttable_get_id(table), kNameBytesMax)};
  for (int i = 0; i < blkid_partlist_numof_partitions(list); ++i) {
    const blkid_partition each = blkid_partlist_get_partition(list, i);
    if (each == nullptr || blkid_partition_is_extended(each) != 0) continue;
    const auto start = static_cast<std::uint64_t>(blkid_partition_get_start(each));
    const auto sectors = static_cast<std::uint64_t>(blkid_partition_get_size(each));
    const std::uint64_t device_sectors = device_bytes / kSectorBytes;
    if (sectors == 0 || start >= device_sectors || sectors > device_sectors - start)
      throw std::runtime_error("a partition does not lie in the device");
    Area area{.offset = start * kSectorBytes,
              .bytes = sectors * kSectorBytes,
              .partition = blkid_partition_get_partno(each)};
    name_content(fd, area);
    contents.areas.push_back(std::move(area));
  }
}

Contents look_at(const std::string& path, std::uint64_t bytes) {
  const cdp::FileDescriptor device{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!device.valid()) throw std::runtime_error("the device cannot be opened");
  Contents contents;
  Area whole{.offset = 0, .bytes = bytes};
  name_content(device.get(), whole);
  if (whole.type != kUnknown) contents.areas.push_back(std::move(whole));
  add_partitions(device.get(), bytes, contents);
  return contents;
}

// From the process that has looked to the one that has not.
std::string to_text(const Contents& contents) {
  json::array areas;
  for (const Area& area : contents.areas)
    areas.push_back(
        {area.offset, area.bytes, area.partition.value_or(0), area.type, area.label, area.uuid});
  json::value table;
  if (contents.table) table = {contents.table->type, contents.table->id};
  return json::serialize(json::array{std::move(table), std::move(areas)});
}

std::string text_of(const json::value& value) { return std::string{value.as_string()}; }

// Throws where it is no such text; what it says is for the daemon to doubt.
Contents contents_of_text(const std::string& text) {
  const json::value said = json::parse(text);
  Contents contents;
  if (const json::value& table = said.at(0); !table.is_null())
    contents.table = PartitionTable{text_of(table.at(0)), text_of(table.at(1))};
  for (const json::value& each : said.at(1).as_array()) {
    Area area{.offset = each.at(0).to_number<std::uint64_t>(),
              .bytes = each.at(1).to_number<std::uint64_t>(),
              .type = text_of(each.at(3)),
              .label = text_of(each.at(4)),
              .uuid = text_of(each.at(5))};
    if (const int number = each.at(2).to_number<int>(); number != 0) area.partition = number;
    contents.areas.push_back(std::move(area));
  }
  if (contents.areas.size() > tools::kCheckFileSystemsMax)
    throw std::runtime_error("there are more partitions than are checked");
  return contents;
}

}  // namespace

Contents contents_of(const std::string& path, std::uint64_t bytes) {
  return contents_of_text(run_apart([&] { return to_text(look_at(path, bytes)); }));
}

}  // namespace check
