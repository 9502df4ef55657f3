// SPDX-License-Identifier: Apache-2.0
//
// Texts side by side: lists as tables, and names with their values. What would pass the terminal's
// width is shortened in a table, and goes on below itself in a value; a program that reads the
// output gets all of it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/cli/terminal.h"

namespace tools::cli {

// Rows of cells in columns as wide as their widest cell; the first row is the heading.
class Table {
 public:
  using Row = std::vector<std::string>;
  explicit Table(Row heading) : rows_{std::move(heading)} {}

  // That column is left out where there is no room for all.
  Table& spare(std::string_view heading);
  // No cell of that column is shortened: people copy it.
  Table& keep(std::string_view heading);
  void add(Row row);
  // Without a width, whatever it takes.
  std::string text(std::optional<std::size_t> columns = columns_of_stdout()) const;

 private:
  std::size_t column(std::string_view heading) const;

  std::vector<Row> rows_;
  std::vector<std::size_t> spared_;
  std::vector<std::size_t> kept_;
};

// Names and values, the values below one another.
class Fields {
 public:
  void add(std::string name, std::string value);
  std::string text(std::optional<std::size_t> columns = columns_of_stdout()) const;

 private:
  struct Field {
    std::string name;
    std::string value;
  };
  std::vector<Field> fields_;
};

}  // namespace tools::cli
